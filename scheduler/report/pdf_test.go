package report_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nines/internal/peer"
	"nines/scheduler/report"
)

// printed returns the reports as a PDF.
func printed(t *testing.T, reports []*report.Report) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := report.WritePDF(&out, reports); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// textOf returns what pdftotext reads of a PDF.
func textOf(t *testing.T, pdf []byte) string {
	t.Helper()
	tool := peer.Program(t, "pdftotext")
	path := filepath.Join(t.TempDir(), "report.pdf")
	if err := os.WriteFile(path, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := exec.Command(tool, "-layout", path, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The same reports are the same bytes, and say what the page says.
func TestPDF(t *testing.T) {
	reports := workedReports(t)
	first := printed(t, reports)
	if !bytes.HasPrefix(first, []byte("%PDF-")) || !bytes.Contains(first, []byte("%%EOF")) {
		t.Fatalf("not a PDF: %.40q", first)
	}
	for range 3 {
		if !bytes.Equal(printed(t, reports), first) {
			t.Fatal("the same reports make other bytes")
		}
	}
	if dir := os.Getenv("PDF_OUT"); dir != "" {
		os.WriteFile(filepath.Join(dir, "worked.pdf"), first, 0o644)
	}
	text := strings.Join(strings.Fields(strings.ReplaceAll(textOf(t, first), "\u00a0", " ")), " ")
	if !regexp.MustCompile(`3 ?/ ?6 .*Night desk`).MatchString(text) || !strings.Contains(text, "Gold support plan, October 2026 · revision 1 · "+reports[0].ResultsSHA256[:16]) {
		t.Error("the pages are not numbered")
	}
	for _, want := range []string{
		"The target of 99.95 % was missed: availability was 99.937 %", "Downtime allowed: 22 min 21 s",
		"Day by day", "Response times", "Database upgrade", "connect.timeout", "10 % owed", reports[0].ResultsSHA256, "October 2026", "March 2026",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the PDF does not say %q", want)
		}
	}
}

// Letters that no font has are told by their code points, and no name is too
// long or too strange to be printed.
func TestPDFOfAnyName(t *testing.T) {
	r := *workedReports(t)[0]
	one := r.Checks[0]
	r.Checks = nil
	for _, name := range []string{
		"Ελληνικά, Кириллица, Ştəfan, Việt", "商店 フロント 상점", "متجر الواجهة", "חנות", "दुकान", "🚀 launch", "a\x00b\u200b\ufeffc", "\xff\xfe",
		strings.Repeat("W", 400), strings.Repeat("wide words ", 80), "",
	} {
		one.Title = name
		r.Checks = append(r.Checks, one)
	}
	r.Title = strings.Repeat("Ω", 300)
	text := textOf(t, printed(t, []*report.Report{&r}))
	for _, want := range []string{"[U+1F680]", "launch", "Кириллица", "abc"} {
		if !strings.Contains(text, want) {
			t.Errorf("the PDF does not say %q", want)
		}
	}
}

func TestPDFOfManyChecks(t *testing.T) {
	reports := workedReports(t)
	r := *reports[0]
	for i := range 300 {
		c := r.Checks[0]
		c.Title = fmt.Sprintf("Service %d", i)
		r.Checks = append(r.Checks[:len(r.Checks):len(r.Checks)], c)
	}
	started := time.Now()
	if text := textOf(t, printed(t, []*report.Report{&r})); !strings.Contains(text, "Service 299") || strings.Count(text, "revision 1 ·") < 8 {
		t.Error("not all checks are there")
	}
	t.Logf("printed in %v", time.Since(started))
}

// workedReports are the two months of docs/availability.md.
func workedReports(t *testing.T) []*report.Report {
	t.Helper()
	return []*report.Report{warsaw(t).report(t), newYork(t).report(t)}
}
