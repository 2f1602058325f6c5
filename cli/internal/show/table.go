// Package show is how things look to people: tables, words for times and numbers, bars, and what becomes of colours.
// It asks nobody for anything, and what it is given it does not change.
package show

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Table is rows under headings; the columns are as wide as what is in them.
type Table struct {
	Heads []string
	rows  [][]Cell
}

// Cell is a text, and how it is meant.
type Cell struct {
	Text string
	Tone Tone
}

// Tone is how something is meant; a Palette makes colours of it.
type Tone int

// The tones.
const (
	Plain Tone = iota
	Good
	Busy
	Bad
	Faint
	Strong
)

// Palette gives tones their colours, or none.
type Palette bool

var colours = map[Tone]string{Good: "32", Busy: "33", Bad: "31", Faint: "2", Strong: "1"}

// Paint is the text in its colour.
func (p Palette) Paint(t Tone, text string) string {
	if code, ok := colours[t]; ok && bool(p) && text != "" {
		return "\x1b[" + code + "m" + text + "\x1b[0m"
	}
	return text
}

// Row adds a row of texts.
func (t *Table) Row(texts ...string) {
	cells := make([]Cell, len(texts))
	for i, text := range texts {
		cells[i].Text = text
	}
	t.Cells(cells...)
}

// Cells adds a row.
func (t *Table) Cells(cells ...Cell) {
	for i := range cells {
		cells[i].Text = Line(cells[i].Text)
		if cells[i].Text == "" {
			cells[i].Text = "-"
		}
	}
	t.rows = append(t.rows, cells)
}

// Empty tells whether there is no row.
func (t *Table) Empty() bool { return len(t.rows) == 0 }

// Write writes the table; the last column is as long as it is.
func (t *Table) Write(w io.Writer, p Palette) {
	widths := make([]int, len(t.Heads))
	for i, head := range t.Heads {
		widths[i] = utf8.RuneCountInString(head)
	}
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell.Text))
		}
	}
	heads := make([]Cell, len(t.Heads))
	for i, head := range t.Heads {
		heads[i] = Cell{head, Faint}
	}
	var text strings.Builder
	for _, row := range append([][]Cell{heads}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(p.Paint(cell.Tone, cell.Text))
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell.Text)+2))
			}
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, _ = io.WriteString(w, text.String())
}

// Line is a text on one line, without what a terminal would obey: names and messages come from others.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case r < ' ', r == 0x7f, r >= 0x80 && r < 0xa0, r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
}
