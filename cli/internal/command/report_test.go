package command

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// written is a report that was written for people.
type written struct{ media, text string }

func (a written) VisitGetReportResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", a.media)
	_, err := io.WriteString(w, a.text)
	return err
}

func (p problem) VisitGetReportResponse(w http.ResponseWriter) error { return p.write(w) }

func (w *world) GetReport(_ context.Context, in autoscaler.GetReportRequestObject) (autoscaler.GetReportResponseObject, error) {
	p := in.Params
	until := ""
	if p.Until != nil {
		until = " until " + p.Until.UTC().Format(time.RFC3339)
	}
	w.note("report of " + deref(p.Namespace, "all") + " for " + deref(p.For, "?") + until + " as " + string(deref(p.Format, "?")))
	switch {
	case deref(p.For, "") == "9d":
		return refusal(http.StatusBadRequest, "invalid", "for: at most 7d"), nil
	case deref(p.Format, "") == autoscaler.ReportHTML:
		return written{"text/html; charset=utf-8", "<!doctype html>\n"}, nil
	case deref(p.Format, "") == autoscaler.ReportMarkdown:
		return written{"text/markdown; charset=utf-8", "# Nemesis <a|b>\n"}, nil
	}
	return autoscaler.GetReport200JSONResponse{Applications: 3, Items: []autoscaler.ReportItem{}}, nil
}

func deref[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func TestReport_IsPrintedAsItIsWritten(t *testing.T) {
	w := newWorld(t)
	for line, want := range map[string]string{
		"report":                        "# Nemesis <a|b>\n",
		"report -o markdown":            "# Nemesis <a|b>\n",
		"report -A --for 7d -o html":    "<!doctype html>\n",
		"report -n other --for 12h":     "# Nemesis <a|b>\n",
		"report --output yaml --for 2d": "applications: 3\n",

		"report --until 2026-01-05T06:00:00Z --for 7d": "# Nemesis <a|b>\n",
	} {
		if got := w.run(t, strings.Fields(line)...).ok(t); got != want && !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", line, got)
		}
	}
	var r autoscaler.Report
	if err := json.Unmarshal([]byte(w.run(t, "report", "-o", "json").ok(t)), &r); err != nil || r.Applications != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	said := strings.Join(w.asked, "\n")
	for _, want := range []string{
		"report of shop for 24h as markdown", "report of all for 7d as html", "report of other for 12h as markdown", "report of shop for 7d until 2026-01-05T06:00:00Z as markdown", "report of shop for 2d as json",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("nobody asked for the %s: %s", want, said)
		}
	}
}

func TestReport_SaysWhatIsNotAllowed(t *testing.T) {
	w := newWorld(t)
	w.run(t, "report", "-o", "wide").fails(t, misused, "--output wide is not allowed: markdown, html, json or yaml")
	w.run(t, "status", "-o", "html").fails(t, misused, "--output html is not allowed: json, yaml or wide")
	w.run(t, "report", "--until", "monday").fails(t, misused, "--until monday is not allowed")
	w.run(t, "report", "cart").fails(t, misused, "report")
	if got := w.run(t, "report", "--for", "9d"); got.code == done || !strings.Contains(got.err, "at most 7d") {
		t.Errorf("%+v", got)
	}
}
