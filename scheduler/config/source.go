package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxFile is how many bytes a file may have.
const maxFile = 1 << 20

// readPath returns the values of the file at path, or of the files of the
// directory at path in name order. Files that could not be read at all are
// left out, and partial says that there are such.
func (r *reader) readPath(path string) (roots []*node, partial bool) {
	files, ok := r.list(path)
	for _, file := range files {
		root, read := r.readFile(file)
		if root != nil {
			roots = append(roots, root)
		}
		ok = ok && read
	}
	if ok && len(roots) == 0 {
		r.unreadable(position{path, 1, 1}, "file", "is empty; the smallest configuration has regions and checks, see examples/minimal.yaml")
		ok = false
	}
	return roots, !ok
}

// list returns the files that path stands for.
func (r *reader) list(path string) (files []string, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		r.unreadable(position{path, 1, 1}, "file", "cannot be read: %s; name a YAML file, or a directory of *.yaml", reason(err))
		return nil, false
	}
	if !info.IsDir() {
		return []string{path}, true
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		r.unreadable(position{path, 1, 1}, "file", "cannot be read: %s", reason(err))
		return nil, false
	}
	for _, entry := range entries {
		name, file := entry.Name(), filepath.Join(path, entry.Name())
		info, err := os.Stat(file)
		switch {
		case strings.HasPrefix(name, ".") || err == nil && info.IsDir():
		case filepath.Ext(name) == ".yml":
			r.warning(position{file, 1, 1}, "file", "is not read, because only *.yaml are; rename it to %s", strings.TrimSuffix(name, ".yml")+".yaml")
		case filepath.Ext(name) == ".yaml":
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		r.unreadable(position{path, 1, 1}, "file", "is a directory without any *.yaml; put the configuration there, or name a file")
		return nil, false
	}
	return files, true
}

// readFile returns the values of one file, or nil when it holds none; ok is
// false when it could not be read.
func (r *reader) readFile(path string) (root *node, ok bool) {
	data, err := readLimited(path)
	switch {
	case errors.Is(err, errTooLarge):
		r.unreadable(position{path, 1, 1}, "file", "is larger than 1 MiB; split it into several files of a directory")
		return nil, false
	case err != nil:
		r.unreadable(position{path, 1, 1}, "file", "cannot be read: %s", reason(err))
		return nil, false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if at, why := notText(data); why != "" {
		at.file = path
		r.unreadable(at, "file", "%s; a configuration is YAML in UTF-8", why)
		return nil, false
	}
	content, ok := r.parse(path, data)
	if !ok || len(content) == 0 {
		return nil, ok
	}
	return r.root(path, content[0])
}

var errTooLarge = errors.New("larger than 1 MiB")

// readLimited reads a file of at most maxFile bytes.
func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errTooLarge
	}
	return data, err
}

// reason says what went wrong without the path, which the fault has already.
func reason(err error) string {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}

// notText returns where data stops being text, and why; why is empty for text.
func notText(data []byte) (at position, why string) {
	at.line, at.column = 1, 1
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			return at, fmt.Sprintf("holds the byte 0x%02x, which is not UTF-8", data[i])
		case c < ' ' && c != '\t' && c != '\n' && c != '\r', 0x7f <= c && c < 0xa0 && c != 0x85, c == 0xfffe, c == 0xffff, isMask(c):
			return at, fmt.Sprintf("holds the character U+%04X, which is not text", c)
		case c == '\n':
			at.line, at.column = at.line+1, 0
		}
		at.column++
		i += size
	}
	return at, ""
}

// parse returns what one file's YAML holds, nothing when it has only comments.
func (r *reader) parse(path string, data []byte) (content []*yaml.Node, ok bool) {
	// The parser panics where its own state surprises it.
	defer func() {
		if p := recover(); p != nil {
			r.unreadable(position{path, 1, 1}, "yaml", "cannot be parsed (%v); write it more plainly", p)
			content, ok = nil, false
		}
	}()
	loader, err := yaml.NewLoader(strings.NewReader(mask(string(data))))
	if err != nil {
		return nil, r.syntax(path, err)
	}
	var first, second yaml.Node
	if err := loader.Load(&first); errors.Is(err, io.EOF) {
		return nil, true
	} else if err != nil {
		return nil, r.syntax(path, err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		r.unreadable(position{path, second.Line, second.Column}, "file", "holds a second document; put it into a file of its own, in a directory given to -c")
		return nil, false
	case !errors.Is(err, io.EOF):
		return nil, r.syntax(path, err)
	}
	return first.Content, true
}

// syntax adds the fault of a file that is not YAML and returns false.
func (r *reader) syntax(path string, err error) (ok bool) {
	at, message := position{path, 1, 1}, err.Error()
	if yamlErr := (*yaml.LoadError)(nil); errors.As(err, &yamlErr) {
		at.line, at.column, message = yamlErr.Mark.Line, yamlErr.Mark.Column, yamlErr.Message
		// What is never closed is found at the end and mended at the start.
		if yamlErr.ContextMark.Line > 0 && strings.Contains(yamlErr.ContextMsg, "scanning a") {
			at.line, at.column = yamlErr.ContextMark.Line, yamlErr.ContextMark.Column
		}
	}
	r.unreadable(at, "yaml", "%s; %s", clip(unmask(message)), syntaxHint(message))
	return false
}

// syntaxHint says what would be right, from what the parser said.
func syntaxHint(message string) string {
	for _, hint := range []struct{ said, right string }{
		{"cannot start any token", "indent with spaces, not tabs, and quote a value that starts with @, %, ` or a tab"},
		{"mapping values are not allowed", "quote a value that holds a colon and a space, or mend the indentation"},
		{"expected ',' or ']'", "close the list with ]"},
		{"expected ',' or '}'", "close the mapping with }"},
		{"unexpected end of stream", "close the quote that is opened here"},
		{"unknown anchor", "define it with & before it is used, or quote a value that starts with *"},
		{"could not find expected ':'", "write key: value, with a space after the colon"},
		{"exceeded max depth", "nest less deeply"},
	} {
		if strings.Contains(message, hint.said) {
			return hint.right
		}
	}
	return "look at the indentation and the quotes here and on the line above"
}
