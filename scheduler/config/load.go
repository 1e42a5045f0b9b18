package config

import (
	"reflect"
)

// Load reads the configuration at path: a YAML file, or a directory whose
// *.yaml are merged in the order of their names. Variables are looked up with
// getenv, such as os.LookupEnv. An error is Faults: everything that is wrong,
// found in one pass.
func Load(path string, getenv func(string) (string, bool)) (*Config, error) {
	return LoadChanged(path, getenv, nil)
}

// LoadChanged reads the configuration as Load does and sets the changes over
// it, one after the other. A fault of a change has the change in the place of
// a file.
func LoadChanged(path string, getenv func(string) (string, bool), changes []Change) (*Config, error) {
	found := &findings{}
	r := &reader{findings: found, getenv: getenv}
	roots, partial := r.readPath(path)
	cfg := &Config{}
	if len(roots) > 0 {
		root := found.merge(roots)
		for _, change := range changes {
			r.apply(root, change)
		}
		b := &builder{findings: found, root: root, partial: partial, cfg: cfg}
		(&decoder{found}).structs(root, true, reflect.ValueOf(&b.doc).Elem())
		b.build()
	}
	if len(found.faults) > 0 {
		return nil, sorted(found.faults)
	}
	cfg.Warnings = sorted(found.warnings)
	return cfg, nil
}

// merge returns the values of all files as one. Lists are joined; anything
// else may be given once.
func (f *findings) merge(roots []*node) *node {
	merged := &node{position: roots[0].position, kind: mapping}
	for _, root := range roots {
		for _, next := range root.fields {
			have := merged.field(next.key)
			switch {
			case have == nil:
				merged.add(next)
			case next.value.kind == absent:
			case have.value.kind == absent:
				*have = next
			case have.value.kind == list && next.value.kind == list:
				// The items keep the parents, and so the paths, of their file.
				both := *have.value
				both.items = append(both.items[:len(both.items):len(both.items)], next.value.items...)
				have.value = &both
			default:
				f.fault(next.at, next.key, "is already set at %s; keep one of the two", have.at)
			}
		}
	}
	return merged
}

// builder makes the configuration from the document and says what is wrong
// where one part does not fit another.
type builder struct {
	*findings
	root *node
	doc  document
	cfg  *Config
	// partial: a file could not be read, so that what is missing may be there.
	partial bool

	regions, probers, checks, slas, people, rotations, policies *roster

	groups []string // of the checks
}

// build fills in the configuration. Every part may rely on the rosters, and on
// nothing else of another part unless it comes earlier here.
func (b *builder) build() {
	d := &b.doc
	if d.Regions == nil {
		d.Regions = []regionSection{{At: b.root, Name: defaultRegion}}
	}
	b.regions = b.enlist("region", len(d.Regions), func(i int) (*node, name) { return d.Regions[i].At, d.Regions[i].Name })
	b.probers = b.enlist("prober", len(d.Probers), func(i int) (*node, name) { return d.Probers[i].At, d.Probers[i].Name })
	b.checks = b.enlist("check", len(d.Checks), func(i int) (*node, name) { return d.Checks[i].At, d.Checks[i].Name })
	b.slas = b.enlist("SLA", len(d.SLAs), func(i int) (*node, name) { return d.SLAs[i].At, d.SLAs[i].Name })
	b.people = b.enlist("person", len(d.People), func(i int) (*node, name) { return d.People[i].At, d.People[i].Name })
	b.rotations = b.enlist("rotation", len(d.Rotations), func(i int) (*node, name) { return d.Rotations[i].At, d.Rotations[i].Name })
	b.policies = b.enlist("policy", len(d.Policies), func(i int) (*node, name) { return d.Policies[i].At, d.Policies[i].Name })

	b.groups = groupsOf(d.Checks)

	b.buildSettings()
	b.buildRegions()
	b.buildProbers()
	b.buildDefaults()
	b.buildChecks()
	b.buildSLAs()
	b.buildMaintenance()
	b.buildChannels()
	b.buildPeople()
	b.buildRotations()
	b.buildPolicies()
	b.buildStatusPage()
}

// fault adds what is wrong at a path relative to the value at; where the key
// is absent it is shown at the nearest value around it.
func (b *builder) fault(at *node, relative, format string, args ...any) {
	at = b.given(at)
	b.findings.fault(at.nearest(relative).position, at.beneath(relative), format, args...)
}

// warn adds what is valid and still looks wrong.
func (b *builder) warn(at *node, relative, format string, args ...any) {
	at = b.given(at)
	b.findings.warning(at.nearest(relative).position, at.beneath(relative), format, args...)
}

// given returns at, or the root for a section that the file does not have.
func (b *builder) given(at *node) *node {
	if at == nil {
		return b.root
	}
	return at
}
