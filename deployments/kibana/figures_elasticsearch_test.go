//go:build elasticsearch

package main

import (
	"strings"
	"testing"
)

// The other test computes what a panel says that it shows; this one what its title says, from the
// records themselves: neither the panel's columns nor its queries have a part in it.
func TestElasticsearch_ComputesWhatTheTitlesSay(t *testing.T) {
	k := knownRecords()
	s := filled(t, k)
	of := func(is func(asked) bool) (n float64) {
		for _, r := range k.requests {
			if is(r) {
				n++
			}
		}
		return n
	}
	decisions := func(is func(decided) bool) (n float64) {
		for _, d := range k.decisions {
			if is(d) {
				n++
			}
		}
		return n
	}
	failed := func(r asked) bool { return r.status >= 500 || r.fault == "cut-off" }
	all := float64(len(k.requests))
	clients, bytes, longest, answered, waited := map[string]bool{}, 0.0, 0.0, 0.0, 0.0
	for _, r := range k.requests {
		clients[r.client] = true
		bytes += float64(r.out)
		longest = max(longest, r.wait)
	}
	for _, w := range k.wakeUps {
		waited += float64(w.waited)
		if w.outcome == "answered" {
			answered++
		}
	}
	want := map[string]float64{
		"nemesis-traffic/Requests":                   all,
		"nemesis-traffic/Failed":                     of(failed) / all,
		"nemesis-traffic/Bytes sent":                 bytes,
		"nemesis-wake-ups/Wake-ups":                  float64(len(k.wakeUps)),
		"nemesis-wake-ups/Answered":                  answered / float64(len(k.wakeUps)),
		"nemesis-wake-ups/Requests that waited":      waited,
		"nemesis-wake-ups/Longest wait of a request": longest,
		"nemesis-scaling/Decisions":                  float64(len(k.decisions)),
		"nemesis-scaling/Applied":                    decisions(func(d decided) bool { return d.applied }),
		"nemesis-scaling/Held":                       decisions(func(d decided) bool { return d.result == "held" }),
		"nemesis-scaling/Failed":                     decisions(func(d decided) bool { return d.result == "failed" }),
		"nemesis-scaling/To zero":                    decisions(func(d decided) bool { return d.applied && d.to == 0 }),
		"nemesis-scaling/From zero":                  decisions(func(d decided) bool { return d.applied && d.from == 0 }),
		"nemesis-clients/Clients":                    float64(len(clients)),
		"nemesis-errors/Failed requests":             of(failed),
		"nemesis-errors/Of all":                      of(failed) / all,
		"nemesis-errors/Refused by Nemesis":          of(func(r asked) bool { return r.refusal != "" }),
		"nemesis-errors/5xx of applications":         of(func(r asked) bool { return r.status >= 500 && r.refusal == "" }),
		"nemesis-errors/Cut off":                     of(func(r asked) bool { return r.fault == "cut-off" }),
		"nemesis-errors/Clients that left":           of(func(r asked) bool { return r.fault == "client-gone" }),
		"nemesis-pipeline/Records":                   float64(len(k.requests) + len(k.decisions) + len(k.wakeUps)),
		"nemesis-pipeline/Load balancers that wrote": 2,
		"nemesis-pipeline/Lowest sample rate":        0.25,
		"nemesis-pipeline/Newest record":             float64(k.newest()),
	}
	seen := map[string]bool{}
	for _, l := range drawnLayers(t) {
		title := strings.TrimSuffix(l.name, "/layer0")
		expected, ok := want[title]
		rows := []tableRow(nil)
		if ok && !l.Columns[l.ColumnOrder[0]].IsBucketed {
			rows, seen[title] = s.ask(t, l), true
		}
		for _, r := range rows {
			if got := r.numbers[l.ColumnOrder[0]]; !agree(expected, got) {
				t.Errorf("%s: %v, not %v", title, got, expected)
			}
		}
	}
	for title := range want {
		if !seen[title] {
			t.Errorf("there is no figure %s", title)
		}
	}
}

// newest is when the last of the records was made, in milliseconds.
func (k known) newest() (at int64) {
	for _, r := range k.requests {
		at = max(at, r.at.UnixMilli())
	}
	for _, r := range k.decisions {
		at = max(at, r.at.UnixMilli())
	}
	for _, r := range k.wakeUps {
		at = max(at, r.at.UnixMilli())
	}
	return at
}

// Half of the requests to one application are kept at a quarter; what the panel says there were is
// then four times as many.
func TestElasticsearch_TellsHowManyRequestsSamplingLeftOut(t *testing.T) {
	k := knownRecords()
	s := filled(t, k)
	want := map[string]float64{}
	for _, r := range k.requests {
		if r.app != "" && r.rate == 0.25 {
			want["/"+r.app+"/0.25"] += 4
		} else if r.app != "" {
			want["/"+r.app+"/1"]++
		}
	}
	for _, l := range drawnLayers(t) {
		if l.name != "nemesis-pipeline/Sampling/layer0" {
			continue
		}
		rows := s.ask(t, l)
		if len(rows) != len(want) || want["/shop/embed/0.25"] == 0 {
			t.Errorf("%d rows, not %d", len(rows), len(want))
		}
		for _, r := range rows {
			if !agree(want[r.buckets], r.numbers["all"]) {
				t.Errorf("%s: %v, not %v", r.buckets, r.numbers["all"], want[r.buckets])
			}
		}
		return
	}
	t.Error("there is no such panel")
}
