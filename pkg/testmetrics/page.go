// Package testmetrics keeps the list of a program's metrics true: what its registry shows is what METRICS.md
// says. Dashboards and alerts are checked against that page (deployments/grafana), people read it.
package testmetrics

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Program is one whose metrics a page lists.
type Program struct {
	Name     string
	Registry *prometheus.Registry
	Types    map[string]string // of metrics of which the test makes no series
}

// metric is a family of a registry.
type metric struct {
	name, kind, help string
	labels           []string
}

// described is how the client prints a description; it has no other way to read one.
var described = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"),(?: unit: "[^"]*",)? constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// own begins what the programs count themselves; the rest is the client's, for every Go program.
const own = "nemesis_"

// Check fails when the file is not the page of these programs. With update it writes the file.
func Check(tb testing.TB, file string, update bool, programs ...Program) {
	tb.Helper()
	page, err := Page(programs...)
	if err != nil {
		tb.Fatal(err)
	}
	if update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil { //nolint:gosec // it is committed, for all to read
			tb.Fatal(err)
		}
		return
	}
	kept, err := os.ReadFile(file) //nolint:gosec // a test's own
	if err != nil {
		tb.Fatal(err)
	}
	if string(kept) == page {
		return
	}
	before, now := strings.Split(string(kept), "\n"), strings.Split(page, "\n")
	for _, line := range before {
		if !slices.Contains(now, line) {
			tb.Errorf("%s has a line that is not true: %s", file, line)
		}
	}
	for _, line := range now {
		if !slices.Contains(before, line) {
			tb.Errorf("%s lacks a line (go test -run Metrics -update writes it): %s", file, line)
		}
	}
	if !tb.Failed() {
		tb.Errorf("%s has its lines in another order (go test -run Metrics -update writes it)", file)
	}
}

// Page lists the metrics of programs, as Markdown.
func Page(programs ...Program) (string, error) {
	var b strings.Builder
	b.WriteString("# Metrics\n\nWhat `GET /metrics` shows beside what every Go program has (`go_…`, `process_…`). A test keeps this page.\n")
	for _, p := range programs {
		list, err := metricsOf(p)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.Name, err)
		}
		fmt.Fprintf(&b, "\n## %s\n| metric | type | labels | what it is |\n|---|---|---|---|\n", p.Name)
		for _, m := range list {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, strings.Join(m.labels, ", "), strings.ReplaceAll(m.help, "|", `\|`))
		}
	}
	return b.String(), nil
}

// metricsOf are those of a registry, also those that have no series yet.
func metricsOf(p Program) ([]metric, error) {
	found := map[string]*metric{}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		p.Registry.Describe(descriptions)
	}()
	var faults []error
	for d := range descriptions {
		m, err := read(d)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		found[m.name] = m
	}
	families, err := p.Registry.Gather()
	if err != nil {
		return nil, err
	}
	for _, f := range families {
		if m := found[f.GetName()]; m != nil {
			m.kind = strings.ToLower(f.GetType().String())
		}
	}
	var list []metric
	for _, m := range found {
		if !strings.HasPrefix(m.name, own) {
			continue
		}
		if m.kind == "" {
			m.kind = p.Types[m.name]
		}
		// Only counters end so: the linter sees to it.
		if m.kind == "" && strings.HasSuffix(m.name, "_total") {
			m.kind = "counter"
		}
		if m.kind == "" {
			faults = append(faults, fmt.Errorf("%s has no series, so its type cannot be told: have the test make one", m.name))
		}
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return list, errors.Join(faults...)
}

func read(d *prometheus.Desc) (*metric, error) {
	parts := described.FindStringSubmatch(d.String())
	if parts == nil {
		return nil, fmt.Errorf("%s is no description as the client printed them", d)
	}
	name, err := strconv.Unquote(parts[1])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d, err)
	}
	help, err := strconv.Unquote(parts[2])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d, err)
	}
	m := &metric{name: name, help: help}
	for _, c := range regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`).FindAllStringSubmatch(parts[3], -1) {
		m.labels = append(m.labels, c[1])
	}
	for v := range strings.SplitSeq(parts[4], ",") {
		if v != "" {
			m.labels = append(m.labels, v)
		}
	}
	slices.Sort(m.labels)
	if help == "" {
		return nil, fmt.Errorf("%s says nothing of what it is", name)
	}
	return m, nil
}
