package report

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/bidi"
)

// press sets text on pages. It has a font of its own (DejaVu Sans Condensed:
// Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic and many signs); for
// letters that it lacks it looks for a TrueType font of this machine, and
// where there is none either it writes their code points, such as [U+5E97], so
// that nothing turns into empty boxes in silence.
type press struct {
	pdf   *fpdf.Fpdf
	own   [2]*face        // regular, bold
	other map[string]bool // fonts of this machine that the document has
	found []*face         // fonts of this machine in which letters were found
	none  map[rune]bool   // letters that no font of this machine has
	bold  bool
	size  float64 // points
}

// face is a font and what letters it has.
type face struct {
	family, style string
	data          []byte
	font          *sfnt.Font
}

func parseFace(family, style string, data []byte) (*face, error) {
	font, err := sfnt.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading the font %s: %w", family, err)
	}
	return &face{family, style, data, font}, nil
}

// has reports whether the font has a letter. The document's fonts are of the
// basic plane: what is beyond has no number there.
func (f *face) has(r rune) bool {
	if r > 0xffff {
		return false
	}
	var buf sfnt.Buffer
	i, err := f.font.GlyphIndex(&buf, r)
	return err == nil && i != 0
}

var ownFaces = sync.OnceValues(func() (faces [2]*face, err error) {
	if faces[0], err = parseFace("own", "", dejavusanscondensed.TTF); err == nil {
		faces[1], err = parseFace("own", "B", dejavusanscondensedbold.TTF)
	}
	return faces, err
})

func newPress(pdf *fpdf.Fpdf) (*press, error) {
	own, err := ownFaces()
	if err != nil {
		return nil, err
	}
	for _, f := range own {
		pdf.AddUTF8FontFromBytes(f.family, f.style, f.data)
	}
	return &press{pdf: pdf, own: own, other: map[string]bool{}, none: map[rune]bool{}}, nil
}

// set chooses how text looks from now on.
func (p *press) set(bold bool, size float64) { p.bold, p.size = bold, size }

func (p *press) face() *face {
	if p.bold {
		return p.own[1]
	}
	return p.own[0]
}

// use makes a font the document's current one.
func (p *press) use(f *face) {
	if f.family != "own" && !p.other[f.family] {
		p.pdf.AddUTF8FontFromBytes(f.family, f.style, f.data)
		p.other[f.family] = true
	}
	p.pdf.SetFont(f.family, f.style, p.size)
}

// run is a stretch of text that one font can show.
type run struct {
	face *face
	text string
}

// runs divides text by the fonts that it needs, as it is seen from left to
// right.
func (p *press) runs(text string) []run {
	own := p.face()
	var list []run
	add := func(f *face, s string) {
		if n := len(list); n > 0 && list[n-1].face == f {
			list[n-1].text += s
			return
		}
		list = append(list, run{f, s})
	}
	for _, r := range visual(text) {
		switch {
		case r == '\u00a0' || r == '\u202f':
			add(own, " ")
		case r < ' ' || r == 0x7f || r == 0xfeff || r >= 0x200b && r <= 0x200f:
			// Nothing to be seen.
		case own.has(r):
			add(own, string(r))
		default:
			if f := p.machineFace(r); f != nil {
				add(f, string(r))
			} else {
				add(own, fmt.Sprintf("[U+%04X]", r))
			}
		}
	}
	return list
}

// visual returns text as it is seen from left to right; Hebrew and Arabic are
// kept from right to left.
func visual(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x590 && r <= 0x8ff || r >= 0xfb1d && r <= 0xfefc }) {
		return text
	}
	var para bidi.Paragraph
	if _, err := para.SetString(text, bidi.DefaultDirection(bidi.LeftToRight)); err != nil {
		return text
	}
	order, err := para.Order()
	if err != nil {
		return text
	}
	var b strings.Builder
	for i := range order.NumRuns() {
		if r := order.Run(i); r.Direction() == bidi.RightToLeft {
			b.WriteString(bidi.ReverseString(r.String()))
		} else {
			b.WriteString(r.String())
		}
	}
	return b.String()
}

// width returns how wide text is.
func (p *press) width(text string) float64 {
	w := 0.0
	for _, r := range p.runs(text) {
		p.use(r.face)
		w += p.pdf.GetStringWidth(r.text)
	}
	return w
}

// text sets text with its base line at y; x is its start, its middle or its
// end.
func (p *press) text(x, y float64, anchor, text string) {
	switch anchor {
	case "middle":
		x -= p.width(text) / 2
	case "end":
		x -= p.width(text)
	}
	for _, r := range p.runs(text) {
		p.use(r.face)
		p.pdf.Text(x, y, r.text)
		x += p.pdf.GetStringWidth(r.text)
	}
}

// wrap divides text into lines of at most a width: at spaces, and within a word
// that is wider by itself.
func (p *press) wrap(text string, width float64) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(strings.ReplaceAll(text, "\u00a0", "\uffff")) {
		word = strings.ReplaceAll(word, "\uffff", "\u00a0")
		longer := word
		if line != "" {
			longer = line + " " + word
		}
		if p.width(longer) <= width {
			line = longer
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		line = word
		for p.width(line) > width && len([]rune(line)) > 1 {
			fits := p.fitting(line, width)
			lines, line = append(lines, line[:fits]), line[fits:]
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// fitting returns how many bytes of a word fit, one letter at least.
func (p *press) fitting(word string, width float64) int {
	last := 0
	for i := range word {
		if i > 0 && p.width(word[:i]) > width {
			break
		}
		if i > 0 {
			last = i
		}
	}
	if last == 0 {
		_, last = firstRune(word)
	}
	return last
}

func firstRune(s string) (rune, int) {
	for i, r := range s {
		if i == 0 {
			return r, len(string(r))
		}
	}
	return 0, 0
}

// Limits of looking for fonts.
const (
	maxFonts    = 500
	maxFontSize = 40 << 20
)

// fontFolders are where this machine may have fonts.
func fontFolders() []string {
	home, _ := os.UserHomeDir()
	switch runtime.GOOS {
	case "darwin":
		return []string{"/Library/Fonts", "/System/Library/Fonts/Supplemental", filepath.Join(home, "Library/Fonts")}
	case "windows":
		return []string{filepath.Join(os.Getenv("WINDIR"), "Fonts")}
	}
	return []string{"/usr/share/fonts", "/usr/local/share/fonts", filepath.Join(home, ".local/share/fonts")}
}

// machineFonts are the paths of this machine's TrueType fonts, in order.
var machineFonts = sync.OnceValue(func() []string {
	var list []string
	for _, folder := range fontFolders() {
		filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.EqualFold(filepath.Ext(path), ".ttf") {
				list = append(list, path)
			}
			return nil // a folder that cannot be read has no fonts for us
		})
	}
	slices.Sort(list)
	return list[:min(len(list), maxFonts)]
})

// machineFace returns a font of this machine that has a letter, or nil. Fonts
// with other outlines than TrueType's cannot be put into a document.
func (p *press) machineFace(r rune) *face {
	for _, f := range p.found {
		if f.has(r) {
			return f
		}
	}
	if p.none[r] {
		return nil
	}
	for _, path := range machineFonts() {
		info, err := os.Stat(path)
		if err != nil || info.Size() > maxFontSize {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil || len(data) < 4 || string(data[:4]) != "\x00\x01\x00\x00" {
			continue
		}
		f, err := parseFace("machine-"+filepath.Base(path), "", data)
		if err == nil && f.has(r) {
			p.found = append(p.found, f)
			return f
		}
	}
	p.none[r] = true
	return nil
}
