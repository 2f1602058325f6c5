package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

const reportPath = "/v1/report"

// GetReport tells what became of the applications that the caller may see.
func (a *api) GetReport(ctx context.Context, in autoscaler.GetReportRequestObject) (autoscaler.GetReportResponseObject, error) {
	now := time.Now()
	asked := report.Asked{From: now.Add(-period(value(in.Params.For, ""))).Truncate(time.Hour), To: now, Namespace: value(in.Params.Namespace, "")}
	sees, err := a.seen(ctx, asked.Namespace, a.Fleet.Namespaces)
	if err != nil {
		return nil, err
	}
	if sees != nil {
		asked.Sees = func(namespace string) bool { return sees[namespace] }
	}
	return reportIn(value(in.Params.Format, autoscaler.ReportJSON), a.History.Report(asked, now))
}

// period reads hours or days, which the contract has looked at; a day where nothing is said.
func period(text string) time.Duration {
	unit := time.Hour
	if days, ok := strings.CutSuffix(text, "d"); ok {
		text, unit = days, 24*time.Hour
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "h"))
	if err != nil {
		n = 24
	}
	return time.Duration(n) * unit
}

// reportIn is a report as it is asked for.
func reportIn(format autoscaler.ReportFormat, r report.Report) (autoscaler.GetReportResponseObject, error) {
	switch format {
	case autoscaler.ReportMarkdown:
		return forPeople{"text/markdown; charset=utf-8", r.Markdown()}, nil
	case autoscaler.ReportHTML:
		page, err := r.HTML()
		return forPeople{"text/html; charset=utf-8", page}, err
	default:
		return autoscaler.GetReport200JSONResponse(contract.Report(r)), nil
	}
}

// forPeople is an answer that people read. A browser that shows it runs nothing of it.
type forPeople struct{ media, text string }

// VisitGetReportResponse writes it.
func (a forPeople) VisitGetReportResponse(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", a.media)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	w.WriteHeader(http.StatusOK)
	_, err := io.WriteString(w, a.text)
	return err //nolint:wrapcheck // the client has gone
}

// reports makes one report of those of all shards, or passes on that of the namespace's.
func (s *sharded) reports(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if namespace := query.Get("namespace"); namespace != "" {
		s.of(namespace).ServeHTTP(w, r)
		return
	}
	format := autoscaler.ReportFormat(query.Get("format"))
	calls := make([]*http.Request, len(s.ports))
	for i := range calls {
		calls[i] = with(r, nil)
		if format == autoscaler.ReportMarkdown || format == autoscaler.ReportHTML { // else the shards say what is wrong with it
			query.Set("format", string(autoscaler.ReportJSON))
			calls[i].URL.RawQuery = query.Encode()
		}
	}
	answers := s.ask(calls)
	if a := refused(answers); a != nil {
		a.pass(w)
		return
	}
	parts := make([]report.Report, len(answers))
	for i, a := range answers {
		var one autoscaler.Report
		if err := json.Unmarshal(a.Bytes(), &one); err != nil {
			unreadable(w, r, err)
			return
		}
		parts[i] = contract.ReadReport(one)
	}
	out, err := reportIn(format, report.Merge(parts...))
	if err == nil {
		err = out.VisitGetReportResponse(w)
	}
	if err != nil {
		fault.Write(w, r, err)
	}
}
