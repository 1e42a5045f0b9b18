package config

import "fmt"

// roster is the names of one kind of thing, each where it is defined.
type roster struct {
	what  string // region, check, …
	names []string
	first map[string]position
	place map[string]int // in names
	// partial: some name could not be read, so that one which is not here may
	// be that one.
	partial bool
}

// has reports whether there is a thing of that name, or may be.
func (r *roster) has(name string) bool {
	_, ok := r.first[name]
	return ok || r.partial
}

// lacks says that there is no thing of that name, and what there is.
func (r *roster) lacks(name string) string {
	said := fmt.Sprintf("no %s is called %q", r.what, clip(name))
	if len(r.names) == 0 {
		return fmt.Sprintf("%s; there is none, define one", said)
	}
	return said + "; " + didYouMean(name, r.names)
}

// enlist makes the roster of a kind of things; a second definition of a name
// is a fault.
func (b *builder) enlist(what string, n int, at func(i int) (*node, name)) *roster {
	r := &roster{what: what, first: map[string]position{}, place: map[string]int{}, partial: b.partial}
	for i := range n {
		where, called := at(i)
		name := string(called)
		if where == nil || name == "" {
			r.partial = true
			continue
		}
		if first, again := r.first[name]; again {
			at := where.nearest("name").position
			if at == first {
				at = where.position // an alias brought the same name
			}
			b.findings.fault(at, where.beneath("name"), "the %s %s is already defined at %s; give each its own name", what, name, first)
			continue
		}
		r.first[name] = where.nearest("name").position
		r.place[name] = len(r.names)
		r.names = append(r.names, name)
	}
	return r
}
