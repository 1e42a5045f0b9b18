package config

import (
	"fmt"
	"regexp"
	"strings"
)

// YAML ends a plain value within braces at the next brace, bracket or comma,
// which would make {token: ${TOKEN}} two mappings. So those of variables are
// masked while the YAML is parsed, character by character, so that positions
// stay true. The masks are private characters that no file may hold.
var (
	masks   = strings.NewReplacer("{", "\U0010fff0", "}", "\U0010fff1", "[", "\U0010fff2", "]", "\U0010fff3", ",", "\U0010fff4")
	unmasks = strings.NewReplacer("\U0010fff0", "{", "\U0010fff1", "}", "\U0010fff2", "[", "\U0010fff3", "]", "\U0010fff4", ",")

	// variables matches ${NAME} and ${NAME:-default}, and the mere start of
	// something else, so that it is told of as an unclosed variable.
	variables = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*(:-[^}\n]*)?\})?`)
)

// isMask reports whether c is one of the masks.
func isMask(c rune) bool { return 0x10fff0 <= c && c <= 0x10fff4 }

// mask hides the punctuation of variables from the YAML parser.
func mask(yaml string) string { return variables.ReplaceAllStringFunc(yaml, masks.Replace) }

// unmask returns what mask hid.
func unmask(text string) string {
	if strings.Contains(text, "\U0010fff0") {
		return unmasks.Replace(text)
	}
	return text
}

// expand replaces ${NAME} and ${NAME:-default} in s by the environment's
// values and $$ by a dollar; any other dollar stays as it is. As in a shell,
// the default stands in for an empty value too. The second result is what is
// wrong, one sentence each.
func expand(s string, getenv func(string) (string, bool)) (string, []string) {
	if !strings.Contains(s, "$") {
		return s, nil
	}
	var (
		out   strings.Builder
		wrong []string
	)
	for {
		before, rest, found := strings.Cut(s, "$")
		out.WriteString(before)
		switch {
		case !found:
			return out.String(), wrong
		case strings.HasPrefix(rest, "$"):
			out.WriteByte('$')
			s = rest[1:]
		case strings.HasPrefix(rest, "{"):
			inside, after, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return out.String(), append(wrong, "${ is not closed; write ${NAME}, ${NAME:-default}, or $${ for the characters themselves")
			}
			value, problem := variable(inside, getenv)
			if problem != "" {
				wrong = append(wrong, problem)
			}
			out.WriteString(value)
			s = after
		default:
			out.WriteByte('$')
			s = rest
		}
	}
}

// variable returns the value of what stands between ${ and }, or what is wrong
// with it.
func variable(inside string, getenv func(string) (string, bool)) (value, problem string) {
	name, fallback, hasDefault := strings.Cut(inside, ":-")
	switch {
	case !isVariableName(name):
		return "", fmt.Sprintf("${%s} names no variable; write ${NAME}, ${NAME:-default}, or $${ for the characters themselves", clip(inside))
	case strings.Contains(fallback, "${"):
		return "", fmt.Sprintf("the default of ${%s} holds another ${; a default is plain text", name)
	}
	value, set := getenv(name)
	switch {
	case hasDefault && value == "":
		return strings.ReplaceAll(fallback, "$$", "$"), ""
	case !set:
		return "", fmt.Sprintf("the environment variable %s is not set; set it, or write ${%s:-default}", name, name)
	}
	return value, ""
}

// isVariableName reports whether s is a name as shells have them.
func isVariableName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// clip shortens what is quoted from a file so that a fault stays one line.
func clip(s string) string {
	const most = 80
	runes := 0
	for i := range s {
		if runes == most {
			return s[:i] + "…"
		}
		runes++
	}
	return s
}
