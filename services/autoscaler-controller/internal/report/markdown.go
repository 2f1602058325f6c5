package report

import (
	"strings"
	"unicode"
)

// Markdown is the report with tables, as GitHub, GitLab and Mattermost read them.
func (r Report) Markdown() string {
	p := r.page()
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line("# ", escaped(p.Title), "\n")
	line(escaped(p.Period), "\n")
	if len(p.Lead) > 0 {
		line(sentences(p.Lead), "\n")
	}
	for _, s := range p.Sections {
		line("## ", escaped(s.Heading), "\n")
		if len(s.Said) > 0 {
			line(sentences(s.Said), "\n")
		}
		if len(s.Bars) > 0 {
			line("| First request waited | Wake-ups | |")
			line("|---:|---:|:---|")
			for _, one := range s.Bars {
				line("| ", escaped(one.Upto), " | ", escaped(one.Times), " | ", strings.Repeat("█", blocks(one.Share)), " |")
			}
			line()
		}
		if len(s.Rows) > 0 {
			row := func(cells []string, write func(i int, cell string) string) {
				for i, cell := range cells {
					b.WriteString("| " + write(i, cell) + " ")
				}
				line("|")
			}
			row(s.Heads, func(_ int, cell string) string { return escaped(cell) })
			row(s.Heads, func(i int, _ string) string {
				if i < s.Left {
					return ":---"
				}
				return "---:"
			})
			for _, cells := range s.Rows {
				row(cells, func(_ int, cell string) string { return escaped(cell) })
			}
			line()
		}
		if s.More != "" {
			line(escaped(s.More), "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Text is the report in some lines without tables, for chats.
func (r Report) Text() string {
	p := r.page()
	lines := []string{p.Title, p.Period, strings.Join(p.Lead, " ")}
	for _, s := range p.Sections {
		switch {
		case len(s.Rows) == 0:
			lines = append(lines, s.Heading+": "+strings.Join(s.Said, " "))
		case s.Left > 1: // who is contested, and which rules: some of them
			lines = append(lines, s.Heading+": "+some(s.Rows))
		}
	}
	return strings.Join(lines, "\n")
}

// mostNamed bounds how many a text names.
const mostNamed = 5

func some(rows [][]string) string {
	names := make([]string, 0, mostNamed)
	for _, cells := range rows[:min(len(rows), mostNamed)] {
		names = append(names, cells[0]+" ("+cells[1]+")")
	}
	text := strings.Join(names, ", ")
	if more := len(rows) - len(names); more > 0 {
		text += ", and " + number(int64(more)) + " more"
	}
	return text + "."
}

// blocks is how long a bar is drawn.
func blocks(share float64) int {
	if share <= 0 {
		return 0
	}
	return max(1, int(20*share+.5))
}

func sentences(said []string) string { return escaped(strings.Join(said, " ")) }

// escaped is a text that says in Markdown what it says: nothing in it is a link, a heading, a cell or HTML.
func escaped(text string) string {
	var b strings.Builder
	for i, c := range text {
		switch {
		case c == '\n' || c == '\r' || c == '\t':
			b.WriteByte(' ')
			continue
		case unicode.IsControl(c):
			continue
		case strings.ContainsRune("\\`*_{}[]<>|~&", c), i == 0 && strings.ContainsRune("#+-=>", c):
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}
