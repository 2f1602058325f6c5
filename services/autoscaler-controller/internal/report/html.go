package report

import (
	"bytes"
	_ "embed" // the page
	"fmt"
	"html/template"
)

//go:embed page.html
var source string

// written escapes what it is given by where it stands. There is no script in it, and nothing is loaded from anywhere.
var written = template.Must(template.New("report").Parse(source))

// HTML is the report as a page that stands alone, for browsers and mail.
func (r Report) HTML() (string, error) {
	var b bytes.Buffer
	if err := written.Execute(&b, r.page()); err != nil {
		return "", fmt.Errorf("write the report as HTML: %w", err)
	}
	return b.String(), nil
}

// Percent is how long the bar is drawn.
func (b bar) Percent() int { return int(100*b.Share + .5) }

// Number tells whether a column of the table is one of numbers.
func (s section) Number(column int) bool { return column >= s.Left }
