package prober

import (
	"cmp"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"nines/checks"
)

// How much is kept of failing runs.
const (
	artifactRuns  = 5                  // of a check, the newest
	artifactAge   = 7 * 24 * time.Hour // and no older
	artifactBytes = 50 << 20           // of all checks together
	artifactLimit = 10 << 20           // of one file
)

// artifacts is the folder for what failing runs leave behind:
// CHECK/SLOT.EXT, for the owner of the machine alone.
type artifacts struct {
	dir string
	log *slog.Logger
	mu  sync.Mutex // one at a time
}

// keep puts files away and returns their name without the extension, as in
// shop/20261123T140500Z, or "" if none could be kept.
func (a *artifacts) keep(check string, slot time.Time, files []checks.Artifact) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !checks.ValidName(check) {
		return ""
	}
	name := filepath.Join(check, slot.UTC().Format("20060102T150405.000Z"))
	if err := os.MkdirAll(filepath.Join(a.dir, check), 0o700); err != nil {
		a.log.Warn("artifacts not kept", "check", check, "err", err)
		return ""
	}
	kept := false
	for _, f := range files {
		if len(f.Data) > artifactLimit || f.Ext != "png" && f.Ext != "har" {
			continue
		}
		if err := os.WriteFile(filepath.Join(a.dir, name+"."+f.Ext), f.Data, 0o600); err != nil {
			a.log.Warn("artifacts not kept", "check", check, "err", err)
			continue
		}
		kept = true
	}
	a.bound(time.Now())
	if !kept {
		return ""
	}
	return filepath.ToSlash(name)
}

// prune removes what is too old.
func (a *artifacts) prune(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bound(now)
}

// stored is the files of one run.
type stored struct {
	check, name string
	files       []string
	bytes       int64
	at          time.Time
}

// bound removes what is more than is kept, the oldest first. a.mu is held.
func (a *artifacts) bound(now time.Time) {
	runs := a.list()
	slices.SortFunc(runs, func(x, y stored) int { return cmp.Or(y.at.Compare(x.at), cmp.Compare(y.name, x.name)) })
	perCheck, total := map[string]int{}, int64(0)
	for _, run := range runs {
		perCheck[run.check]++
		total += run.bytes
		if perCheck[run.check] <= artifactRuns && total <= artifactBytes && now.Sub(run.at) <= artifactAge {
			continue
		}
		for _, file := range run.files {
			if err := os.Remove(file); err != nil {
				a.log.Warn("artifact not removed", "check", run.check, "err", err)
			}
		}
	}
}

// list returns what is there.
func (a *artifacts) list() []stored {
	paths, _ := filepath.Glob(filepath.Join(a.dir, "*", "*.*")) // the pattern is right
	runs := map[string]*stored{}
	var order []string
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		name := strings.TrimSuffix(path, filepath.Ext(path))
		run := runs[name]
		if run == nil {
			run = &stored{check: filepath.Base(filepath.Dir(path)), name: name}
			runs[name] = run
			order = append(order, name)
		}
		run.files = append(run.files, path)
		run.bytes += info.Size()
		if info.ModTime().After(run.at) {
			run.at = info.ModTime()
		}
	}
	list := make([]stored, 0, len(order))
	for _, name := range order {
		list = append(list, *runs[name])
	}
	return list
}
