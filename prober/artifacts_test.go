package prober

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nines/checks"
)

func TestArtifacts(t *testing.T) {
	a := &artifacts{dir: filepath.Join(t.TempDir(), "artifacts"), log: slog.New(slog.DiscardHandler)}
	slot := time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC)
	files := []checks.Artifact{{Ext: "png", Data: []byte("picture")}, {Ext: "har", Data: []byte("{}")}}
	name := a.keep("shop", slot, files)
	if name != "shop/20261123T140500.000Z" {
		t.Errorf("kept as %q", name)
	}
	path := filepath.Join(a.dir, filepath.FromSlash(name))
	if got, err := os.ReadFile(path + ".png"); string(got) != "picture" {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := os.Stat(path + ".har"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, bad := range []string{"../out", "", "a/b"} {
		if name := a.keep(bad, slot, files); name != "" {
			t.Errorf("kept as %q", name)
		}
	}
	if name := a.keep("huge", slot, []checks.Artifact{{Ext: "png", Data: make([]byte, artifactLimit+1)}, {Ext: "exe", Data: []byte("x")}}); name != "" {
		t.Errorf("kept as %q", name)
	}
}

// What is kept is bounded by runs a check, by age and by bytes, and the newest
// stay.
func TestArtifactsAreBounded(t *testing.T) {
	a := &artifacts{dir: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	now := time.Now()
	age := func(name string, by time.Duration) {
		for _, ext := range []string{".png", ".har"} {
			at := now.Add(-by)
			if err := os.Chtimes(filepath.Join(a.dir, name+ext), at, at); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
	}
	count := func(check string) int {
		found, _ := filepath.Glob(filepath.Join(a.dir, check, "*"))
		return len(found)
	}
	for i := range 8 {
		age(a.keep("shop", now.Add(time.Duration(i)*time.Minute), []checks.Artifact{{Ext: "png", Data: []byte("x")}, {Ext: "har", Data: []byte("y")}}), time.Duration(8-i)*time.Minute)
	}
	if n := count("shop"); n != 2*artifactRuns {
		t.Errorf("%d files of one check", n)
	}
	a.prune(now.Add(artifactAge + time.Hour))
	if n := count("shop"); n != 0 {
		t.Errorf("%d files after a week", n)
	}
	large := bytes.Repeat([]byte("x"), 9<<20)
	for i := range 8 {
		name := a.keep("check-"+string(rune('a'+i)), now, []checks.Artifact{{Ext: "png", Data: large}})
		age(name, time.Duration(8-i)*time.Minute)
	}
	a.prune(now)
	if count("check-a") != 0 || count("check-h") != 1 {
		t.Error("the oldest were kept in the place of the newest")
	}
	total := int64(0)
	for _, run := range a.list() {
		total += run.bytes
	}
	if total > artifactBytes || total < artifactBytes-10<<20 {
		t.Errorf("%d bytes are kept", total)
	}
}
