package httpapi

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

const settingsPath = "/v1/loadbalancer/settings"

func codec(tb testing.TB) *SettingsCodec {
	tb.Helper()
	c, err := NewSettingsCodec()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestSettingsCodec_TakesTheContractsDefaultsForWhatIsLeftOut(t *testing.T) {
	defaults := fleet.BalancerSettings{Policy: "least_connections", MaxConnections: 10000, Timeout: 600 * time.Second}
	for text, want := range map[string]fleet.BalancerSettings{
		"":                       defaults,
		"# nothing but a remark": defaults,
		"{}":                     defaults,
		"policy: random":         {Policy: "random", MaxConnections: 10000, Timeout: 600 * time.Second},
		`{"max_connections": 7}`: {Policy: "least_connections", MaxConnections: 7, Timeout: 600 * time.Second},
		"policy: least_connections\nmax_connections: 1\ntimeout_seconds: 86400\n": {Policy: "least_connections", MaxConnections: 1, Timeout: 24 * time.Hour},
	} {
		got, err := codec(t).Read(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestSettingsCodec_NamesEveryFieldAtFault(t *testing.T) {
	for text, fields := range map[string][]fault.Field{
		"policy: best\nmax_connections: 0": {
			{Field: "max_connections", Value: "0", Allowed: "from 1 to 1000000"},
			{Field: "policy", Value: "best", Allowed: "one of [round_robin least_connections random least_request peak_ewma prequal consistent_hash model_aware]"},
		},
		"timeout_seconds: soon": {{Field: "timeout_seconds", Value: "soon", Allowed: "a value of type integer"}},
		"timeout: 3":            {{Field: "timeout", Allowed: "no such field; known are max_connections, policy, timeout_seconds"}},
		"[]":                    {{Field: "body", Allowed: "a value of type object"}},
	} {
		_, err := codec(t).Read(text)
		if e := fault.From(err); e.Code != fault.Invalid || !cmp.Equal(e.Fields, fields) {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, cmp.Diff(fields, e.Fields))
		}
	}
	for _, text := range []string{"policy: random\npolicy: random", "{", "\x00", strings.Repeat("#", maxSettings+1)} {
		if _, err := codec(t).Read(text); !fault.Is(err, fault.Invalid) || fault.From(err).Detail == "" {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

func FuzzSettingsCodec_WhatIsReadIsWrittenSo(f *testing.F) {
	f.Add("policy: random\nmax_connections: 3")
	f.Add("{}")
	f.Add("a: &a [*a]")
	c := codec(f)
	f.Fuzz(func(t *testing.T, text string) {
		read, err := c.Read(text)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		written, err := c.Write(read)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.Read(written); err != nil || again != read {
			t.Errorf("%+v became %q and then %+v, %v", read, written, again, err)
		}
	})
}

func TestSettings_AreKeptWholeAndShown(t *testing.T) {
	p := newParts()
	h := p.handler(t)
	w := do(h, "GET", settingsPath, "")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("before they are known: %d %s", w.Code, w.Body)
	}
	fits(t, w, "Problem")
	w = do(h, "PUT", settingsPath, `{"policy":"random"}`)
	want := `{"max_connections":10000,"policy":"random","timeout_seconds":600}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
		t.Errorf("%d %s, want %s", w.Code, got, want)
	}
	if *p.kept != (fleet.BalancerSettings{Policy: "random", MaxConnections: 10000, Timeout: 10 * time.Minute}) {
		t.Errorf("kept %+v", p.kept)
	}
	if w := do(h, "GET", settingsPath, ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("shown: %d %s", w.Code, w.Body)
	}
}

func TestSettings_AnswersCarryTheirVersion(t *testing.T) {
	p := newParts()
	h := p.handler(t)
	for _, c := range []struct {
		now  uint64
		want string
	}{{0, ""}, {41, "42"}, {math.MaxInt64 - 1, "9223372036854775807"}, {math.MaxInt64, ""}} {
		p.version = c.now
		put := do(h, "PUT", settingsPath, "{}").Header().Get(settingsVersionHeader)
		if get := do(h, "GET", settingsPath, "").Header().Get(settingsVersionHeader); put != c.want || get != c.want {
			t.Errorf("after %d: PUT says %q and GET %q, want %q", c.now, put, get, c.want)
		}
	}
}

func TestSettings_WhatIsRefusedChangesNothing(t *testing.T) {
	for body, field := range map[string]string{
		`{"policy":"best"}`:          "policy",
		`{"max_connections":0}`:      "max_connections",
		`{"timeout_seconds":1.5}`:    "timeout_seconds",
		`{"timeout_seconds":86401}`:  "timeout_seconds",
		`{"polcy":"random"}`:         "polcy",
		`[]`:                         "body",
		``:                           "body",
		`{"max_connections":"many"}`: "max_connections",
	} {
		p := newParts()
		w := do(p.handler(t), "PUT", settingsPath, body)
		var problem struct{ Errors []fault.Field }
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Code != 400 || p.kept != nil || len(problem.Errors) == 0 || problem.Errors[0].Field != field {
			t.Errorf("%s: %d %s %v, kept %v", body, w.Code, w.Body, err, p.kept)
		}
		fits(t, w, "Problem")
	}
	p := newParts()
	p.keeping = fault.New(fault.Unavailable, "the controller may not keep them").After(5 * time.Second)
	w := do(p.handler(t), "PUT", settingsPath, `{}`)
	if w.Code != 503 || w.Header().Get("Retry-After") != "5" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	fits(t, w, "Problem")
}

func TestWatchRoutes_TellsTheSettingsAtOnceAndOnlyWhenTheyChanged(t *testing.T) {
	p := newParts()
	h := p.handler(t)
	ask := func(query string) autoscaler.RoutesUpdate {
		w := do(h, "GET", "/v1/routes"+query, "")
		fits(t, w, "RoutesUpdate")
		var u autoscaler.RoutesUpdate
		if err := json.Unmarshal(w.Body.Bytes(), &u); err != nil {
			t.Fatal(err)
		}
		return u
	}
	first := ask("")
	if first.Settings != nil {
		t.Errorf("told before they are known: %+v", *first.Settings)
	}
	answered := make(chan autoscaler.RoutesUpdate, 1)
	go func() { answered <- ask("?wait=60s&after=" + first.Version) }()
	for <-p.polls != 1 { // until it waits
	}
	p.fleet.Configure(fleet.BalancerSettings{Policy: "random", MaxConnections: 5, Timeout: time.Minute, Version: 7})
	u := <-answered
	if s := u.Settings; u.Complete || len(u.Applications) != 0 || s == nil || *s.Policy != "random" || *s.MaxConnections != 5 || *s.TimeoutSeconds != 60 || *u.SettingsVersion != 7 {
		t.Errorf("got %+v", u)
	}
	if again := ask("?wait=0s&after=" + u.Version); again.Settings != nil || again.SettingsVersion != nil || again.Version != u.Version {
		t.Errorf("told twice: %+v", again)
	}
	if whole := ask(""); !whole.Complete || whole.Settings == nil {
		t.Errorf("everything: %+v", whole)
	}
}

func TestRoute_WithoutAnAlgorithmLeavesItToTheSettings(t *testing.T) {
	raw, err := json.Marshal(route(&fleet.Route{}, time.Now()))
	if err != nil || strings.Contains(string(raw), "algorithm") {
		t.Errorf("%s %v", raw, err)
	}
}
