package api

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"nines/checks"
)

// artifactName is what a prober calls the files of a failing run.
var artifactName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}\.[0-9]{3}Z\.(png|har)$`)

// artifact serves a file that a prober of this process kept of a failing run:
// a picture, or an archive, which a browser is to keep and not to show.
func (a *API) artifact(w http.ResponseWriter, r *http.Request) error {
	prober, check, file := r.PathValue("prober"), r.PathValue("check"), r.PathValue("file")
	absent := problem(http.StatusNotFound, "there is no such artifact here; remote probers keep theirs on their own disks")
	if a.cfg.Artifacts == "" || !checks.ValidName(prober) || !checks.ValidName(check) || !artifactName.MatchString(file) {
		return absent
	}
	data, err := os.ReadFile(filepath.Join(a.cfg.Artifacts, prober, "artifacts", check, file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absent
	case err != nil:
		return err
	}
	media := "application/json"
	if strings.HasSuffix(file, ".png") {
		media = "image/png"
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Disposition", "attachment; filename="+check+"-"+file)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(data) // whoever went away has no use for the error
	return nil
}
