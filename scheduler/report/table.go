package report

// column is a column of a table in the PDF.
type column struct {
	name  string
	width float64 // millimetres
	right bool    // numbers stand at its right
}

// table sets rows under a head that every page repeats.
type table struct {
	*paper
	columns []column
	bare    bool // the next row has no line beneath it
}

const (
	cellSize = 7.8 // points
	cellLine = cellSize * 0.3528 * 1.3
	cellPad  = 1.5 // millimetres above and below
	cellGap  = 2.0 // between columns
)

func (p *paper) table(columns []column) *table {
	t := &table{paper: p, columns: columns}
	t.head()
	return t
}

func (t *table) head() {
	t.room(12)
	t.set(false, cellSize)
	t.ink("soft")
	x := marginX
	for _, c := range t.columns {
		t.cell(x, t.y+cellLine, c, t.clip(c.name, c.width-cellGap))
		x += c.width
	}
	t.y += cellLine + cellPad
	t.rule()
}

func (t *table) rule() {
	t.ink("axis")
	t.pdf.SetLineWidth(.2)
	t.pdf.Line(marginX, t.y, marginX+textWidth, t.y)
}

func (t *table) cell(x, y float64, c column, text string) {
	if c.right {
		t.text(x+c.width-cellGap, y, "end", text)
		return
	}
	t.text(x, y, "start", text)
}

// row sets a row, on the next page where this one has no room for it.
func (t *table) row(cells ...string) {
	t.set(false, cellSize)
	lines := make([][]string, len(cells))
	most := 1
	for i, text := range cells {
		lines[i] = t.wrap(text, t.columns[i].width-cellGap)
		most = max(most, len(lines[i]))
	}
	if t.room(float64(most)*cellLine + 2*cellPad) {
		t.head()
	}
	t.set(false, cellSize)
	t.ink("ink")
	x := marginX
	for i, c := range t.columns {
		for n, line := range lines[i] {
			t.cell(x, t.y+cellPad+float64(n)*cellLine+cellLine*.76, c, line)
		}
		x += c.width
	}
	t.y += float64(most)*cellLine + 2*cellPad
	if !t.bare {
		t.rule()
	}
	t.bare = false
}
