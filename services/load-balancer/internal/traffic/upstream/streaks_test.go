package upstream

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestStreaks_EveryCheckIsGoodAsOftenAsItsUserWants(t *testing.T) {
	once := routing.Probe{Port: 1}
	thrice := routing.Probe{Port: 2, Successes: 3, Period: 10 * time.Second}
	twice := routing.Probe{Port: 3, Successes: 2, Period: 4 * time.Second}
	for name, c := range map[string]struct {
		probes []routing.Probe
		at     []time.Duration // good checks
		enough bool
		next   time.Duration
	}{
		"none":                                {nil, []time.Duration{0}, true, 0},
		"one is enough":                       {[]routing.Probe{once, once}, []time.Duration{0}, true, 0},
		"the first of three":                  {[]routing.Probe{once, thrice}, []time.Duration{0}, false, 10 * time.Second},
		"however often within a period":       {[]routing.Probe{thrice}, []time.Duration{0, 1, 2, time.Second, 9 * time.Second}, false, 10 * time.Second},
		"three":                               {[]routing.Probe{once, thrice}, []time.Duration{0, 10 * time.Second, 20 * time.Second}, true, 0},
		"the one that is due next says when":  {[]routing.Probe{thrice, twice}, []time.Duration{0}, false, 4 * time.Second},
		"and then the one that is still left": {[]routing.Probe{thrice, twice}, []time.Duration{0, 4 * time.Second}, false, 10 * time.Second},
	} {
		var s streaks
		s.of(c.probes)
		var enough bool
		var next time.Time
		for _, at := range c.at {
			enough, next = s.allGood(day.Add(at))
		}
		if enough != c.enough || !c.enough && !next.Equal(day.Add(c.next)) {
			t.Errorf("%s: enough %v, next after %v", name, enough, next.Sub(day))
		}
	}
}

func TestStreaks_BeginAnewWhenOneIsBadOrAnother(t *testing.T) {
	probe := routing.Probe{Port: 2, Successes: 2, Period: time.Second, Delay: time.Minute, Headers: []routing.Header{{Name: "a", Value: "b"}}}
	later := probe
	later.Delay = time.Second // what is left of it is less
	other := probe
	other.Path = "/other"
	for name, c := range map[string]struct {
		meanwhile func(s *streaks)
		enough    bool
	}{
		"nothing":                      {func(*streaks) {}, true},
		"the same with less delay":     {func(s *streaks) { s.of([]routing.Probe{later}) }, true},
		"a bad one":                    {func(s *streaks) { s.bad(0) }, false},
		"no connection":                {func(s *streaks) { s.bad(-1) }, false},
		"another check":                {func(s *streaks) { s.of([]routing.Probe{other}) }, false},
		"none, and the same once more": {func(s *streaks) { s.of(nil); s.of([]routing.Probe{probe}) }, false},
	} {
		var s streaks
		s.of([]routing.Probe{probe})
		s.allGood(day)
		c.meanwhile(&s)
		if enough, _ := s.allGood(day.Add(time.Second)); enough != c.enough {
			t.Errorf("%s: enough %v", name, enough)
		}
	}
}

// K12: what answers before is not asked, also by the first connection.
func TestProber_LeavesAPodAloneUntilItsDelayIsOver(t *testing.T) {
	const delay = 150 * time.Millisecond
	began := time.Now()
	asked := make(chan time.Duration, 100)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- time.Since(began) }))
	defer server.Close()
	address := server.Listener.Addr().String()
	d := podAt(t, address, routing.Probe{Port: port(address), Timeout: time.Second, Delay: delay}, routing.Probe{TCP: true, Port: port(address), Timeout: time.Second})
	if err := letIn(d); err != nil {
		t.Fatal(err)
	}
	if first := <-asked; first < delay || time.Since(began) < delay {
		t.Errorf("asked after %v", first)
	}
}

func TestProber_AsOftenAsTheThresholdSays(t *testing.T) {
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	defer server.Close()
	address := server.Listener.Addr().String()
	d := podAt(t, address, routing.Probe{Port: port(address), Timeout: time.Second, Successes: 3, Period: 10 * time.Millisecond})
	if err := letIn(d); err != nil {
		t.Fatal(err)
	}
	if len(asked) < 3 {
		t.Errorf("asked %d times", len(asked))
	}
}

func TestProber_ADelayThatGoesAwayIsSeen(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	prober := NewProber(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	t.Cleanup(prober.Close)
	address := server.Listener.Addr().String()
	slow := routing.Endpoint{Pod: "app-1", Address: address, Probeable: true, Probes: []routing.Probe{{TCP: true, Port: port(address), Timeout: time.Second, Delay: time.Hour}}}
	d := podOf(prober, slow)
	soon := slow
	soon.Probes = []routing.Probe{{TCP: true, Port: port(address), Timeout: time.Second}}
	d.Apply(routing.Update{Version: "x.2", Routes: []routing.Route{{
		Application: d.Applications()[0].ID, Prefix: "/", WakeUpTimeout: 20 * time.Second, Endpoints: []routing.Endpoint{soon},
	}}})
	if err := letIn(d); err != nil {
		t.Fatal(err)
	}
}
