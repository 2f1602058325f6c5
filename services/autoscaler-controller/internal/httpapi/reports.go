package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

const reportPath = "/v1/report"

// GetReport tells what became of the applications that the caller may see.
func (a *api) GetReport(ctx context.Context, in autoscaler.GetReportRequestObject) (autoscaler.GetReportResponseObject, error) {
	now := time.Now()
	until, err := untilWhen(in.Params.Until, now)
	if err != nil {
		return nil, err
	}
	asked := report.Asked{
		From: until.Add(-period(value(in.Params.For, ""))).Truncate(time.Hour), To: until,
		Namespace: value(in.Params.Namespace, ""), Deployments: value(in.Params.Deployment, nil),
	}
	sees, err := a.seen(ctx, asked.Namespace, a.Fleet.Namespaces)
	if err != nil {
		return nil, err
	}
	if sees != nil {
		asked.Sees = func(namespace string) bool { return sees[namespace] }
	}
	if !a.History.Whole() {
		return nil, errHistoryAway
	}
	return reportIn(value(in.Params.Format, autoscaler.ReportJSON), a.History.Report(asked, now))
}

// untilWhen is when the period ends: now, or a moment that the history reaches back to.
func untilWhen(said *time.Time, now time.Time) (time.Time, error) {
	if said == nil {
		return now, nil
	}
	if said.After(now.Add(time.Minute)) || now.Sub(*said) > history.ReportedFor { // clocks differ by some seconds
		return now, fault.New(fault.Invalid, "").With("until", said.Format(time.RFC3339), "a moment of the last eight days")
	}
	return *said, nil
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
		if query.Has("until") && !parts[i].To.Equal(parts[0].To) {
			fault.Write(w, r, errOlderReport)
			return
		}
	}
	out, err := reportIn(format, report.Merge(parts...))
	if err == nil {
		err = out.VisitGetReportResponse(w)
	}
	if err != nil {
		fault.Write(w, r, err)
	}
}

// Everywhere asks the controller itself, as others do, for reports of all shards: by the address of this replica, which has
// those of the other shards made by their leaders.
type Everywhere struct {
	Address func() string      // of this replica
	Client  *httpclient.Client // with this service's own token
	Secure  bool               // it is called by TLS
}

// Report is one of all shards; an error: one of them does not answer, or is of an older version.
func (e *Everywhere) Report(ctx context.Context, asked report.Asked) (report.Report, error) {
	api, err := autoscaler.NewClientWithResponses(schemeOf(e.Secure)+e.Address(), autoscaler.WithHTTPClient(e.Client))
	if err != nil {
		return report.Report{}, fmt.Errorf("report: %w", err)
	}
	hours := strconv.Itoa(int(asked.To.Sub(asked.From).Hours())) + "h"
	params := &autoscaler.GetReportParams{For: &hours, Until: &asked.To, Namespace: optional(asked.Namespace)}
	if len(asked.Deployments) > 0 {
		params.Deployment = &asked.Deployments
	}
	answer, err := api.GetReportWithResponse(ctx, params)
	if err != nil {
		return report.Report{}, fmt.Errorf("report: %w", err)
	}
	if answer.JSON200 == nil {
		err, _ := fault.Read(answer.StatusCode(), answer.Body)
		return report.Report{}, err
	}
	made := contract.ReadReport(*answer.JSON200)
	if !made.Of(asked) {
		return report.Report{}, errOlderReport
	}
	return made, nil
}

// errOlderReport is of a replica that does not know until when a report may be asked for.
var errOlderReport = fault.New(fault.Unavailable, "a replica of an older version made a report of another period").After(time.Second)
