package config

import (
	"net/netip"
	"reflect"
	"strings"

	"nines/checks"
	"nines/regions"
)

// form is how a type of text looks: for messages, the reference and the schema.
type form struct {
	label   string // with its article
	pattern string // empty: any
}

// forms are the types that read themselves from text. One that is not among
// them, such as a kind's own, is any text.
var forms = map[reflect.Type]form{
	reflect.TypeFor[name]():           {"a name", `^[a-z0-9-]{1,63}$`},
	reflect.TypeFor[line]():           {"text", `\S`},
	reflect.TypeFor[phone]():          {"a phone number", `^\+?[1-9][0-9]{6,14}$`},
	reflect.TypeFor[mailbox]():        {"an e-mail address", `@`},
	reflect.TypeFor[sender]():         {"an e-mail address", `@`},
	reflect.TypeFor[hostPort]():       {"host:port", `:[0-9]+$`},
	reflect.TypeFor[webURL]():         {"a URL", `^https?://`},
	reflect.TypeFor[baseURL]():        {"a URL", `^https?://`},
	reflect.TypeFor[ipRange]():        {"a range of addresses", `/[0-9]+$`},
	reflect.TypeFor[ipAddress]():      {"an IP address", `[.:]`},
	reflect.TypeFor[netip.Prefix]():   {"a range of addresses", `/[0-9]+$`},
	reflect.TypeFor[netip.Addr]():     {"an IP address", `[.:]`},
	reflect.TypeFor[zone]():           {"a time zone", `[A-Za-z]`},
	reflect.TypeFor[clock]():          {"a time of day", `^[0-2][0-9]:[0-5][0-9]$`},
	reflect.TypeFor[weekday]():        {"a weekday", `^[A-Za-z]{3}$`},
	reflect.TypeFor[weekdays]():       {"a weekday or a range of them", `^[A-Za-z]{3}( *- *[A-Za-z]{3})?$`},
	reflect.TypeFor[date]():           {"a date", `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`},
	reflect.TypeFor[instant]():        {"a time with its offset", `^[0-9]{4}-[0-9]{2}-[0-9]{2}T`},
	reflect.TypeFor[Percent]():        {"a percentage", decimal.String()},
	reflect.TypeFor[cadence]():        {"how long a turn is", `^(daily|weekly|monthly|[1-9][0-9]{0,3}[hdw])$`},
	reflect.TypeFor[regions.Quorum](): {"a quorum", `^(majority|any|all|[1-9][0-9]*)$`},
	reflect.TypeFor[selected]():       {"a name, or {group: …} or {label: …}", ``},
	reflect.TypeFor[serviceHours]():   {"always, or hours", `^always$`},
	reflect.TypeFor[checks.Profile](): {"a profile, or its figures", "^(?:" + strings.Join(checks.ProfileNames(), "|") + ")$"},
	durationType:                      {"a duration", durationForm.String()},
	secretType:                        {"a secret", ``},
}

// label says in a few words what a value of type t is.
func label(t reflect.Type) string {
	if f, ok := forms[t]; ok {
		return f.label
	}
	rules := t.Kind() == reflect.Struct && len(keysOf(t)) > 0
	switch {
	case takesAny(t) && rules:
		return "a value, or a mapping of keys to values"
	case takesAny(t):
		return "a value"
	case reflect.PointerTo(t).Implements(textType) && rules:
		return "text, or a mapping of keys to values"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return label(t.Elem())
	case reflect.Slice:
		if readsText(t) {
			return label(t.Elem()) + ", or a list of them"
		}
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String, reflect.Interface:
		return "text"
	case reflect.Map:
		return "a mapping of keys to values"
	case reflect.Struct:
		if reflect.PointerTo(t).Implements(textType) {
			return "text"
		}
		return "a mapping of keys to values"
	}
	return "a whole number"
}

// wanted says what to write for a key whose value is of type t.
func wanted(t reflect.Type, k key) string {
	if choices := k.choices(); choices != nil && t.Kind() != reflect.Slice {
		return "one of " + strings.Join(choices, ", ")
	}
	own := k.typ != nil && (t == k.typ || k.typ.Kind() == reflect.Pointer && t == k.typ.Elem())
	if example := k.tag.Get("example"); example != "" && own {
		return label(t) + ", such as " + example
	}
	return label(t)
}
