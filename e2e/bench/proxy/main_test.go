package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/report"
)

func TestParse_NamesWhatIsNotAllowed(t *testing.T) {
	for arg, want := range map[string]string{
		"-rounds=0":      "rounds: 0",
		"-seconds=61":    "seconds: 61",
		"-idle=5000":     "idle: 5000",
		"-priority=5":    "priority: 5",
		"-priority=-21":  "priority: -21",
		"-seconds=0.001": "seconds: 0.001",
	} {
		if _, err := parse([]string{arg}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

func TestChosen_IsWhatTheFlagsSay(t *testing.T) {
	for _, c := range []struct {
		args               []string
		proxies, scenarios string
	}{
		{[]string{"-quick"}, quickProxies, quickScenarios},
		{[]string{"-quick", "-proxies", "ours, nginx", "-scenarios", "tls, idle"}, "ours,nginx", "tls,idle"},
	} {
		o, err := parse(c.args)
		if err != nil {
			t.Fatal(err)
		}
		proxies, err := o.chosen()
		if err != nil {
			t.Fatal(err)
		}
		list, err := o.chosenScenarios()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range proxies {
			names = append(names, p.Name())
		}
		if got := strings.Join(names, ","); got != c.proxies {
			t.Errorf("%v: proxies %s, want %s", c.args, got, c.proxies)
		}
		if got := strings.Join(scenarioNames(list), ","); got != c.scenarios {
			t.Errorf("%v: scenarios %s, want %s", c.args, got, c.scenarios)
		}
	}
	if _, err := (options{scenarios: "udp"}).chosenScenarios(); err == nil || !strings.Contains(err.Error(), `"udp"`) {
		t.Errorf("%v", err)
	}
}

func TestDoubts_AreOfALogThatIsNotWrittenAndOfConnectionsThatAreNotKept(t *testing.T) {
	for _, c := range []struct {
		sample report.Sample
		took   time.Duration
		want   string
	}{
		{report.Sample{report.LogBytes: 250, report.Accepts: 0.1}, time.Second, ""},
		{report.Sample{report.Accepts: 0.1}, time.Second, ""}, // it has no log
		{report.Sample{report.LogBytes: 3}, time.Second, "it logged 3 bytes"},
		{report.Sample{report.LogBytes: 250, report.Accepts: 1000}, time.Second, "it made 1000 connections"},
		{report.Sample{report.LogBytes: 3, report.Accepts: 1000}, time.Millisecond, ""}, // too short to say
	} {
		got := doubts(c.sample, c.took)
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%v in %v: %q, want %q", c.sample, c.took, got, c.want)
		}
	}
}

func TestEnviron_HasNoSettingOfALoadBalancer(t *testing.T) {
	t.Setenv("NEMESIS_LOG_SAMPLE", "0")
	t.Setenv("KEPT", "1")
	joined := strings.Join(environ(), "\n")
	if strings.Contains(joined, "NEMESIS_") || !strings.Contains(joined, "KEPT=1") {
		t.Error(joined)
	}
}
