package command

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/build"
)

func TestStatus_AttentionFirstThenWhatWorks(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{asleep(), awake(), broken()}
	golden(t, "status.txt", w.run(t, "status").ok(t))
	golden(t, "status-wide.txt", w.run(t, "status", "-A", "-o", "wide").ok(t))
	if w.token != "Bearer jane's" {
		t.Errorf("asked as %q", w.token)
	}
	var all []autoscaler.Application
	if err := json.Unmarshal([]byte(w.run(t, "status", "-o", "json").ok(t)), &all); err != nil || len(all) != 3 || all[0].Deployment != "broken" {
		t.Errorf("%v %v", all, err)
	}
	if yaml := w.run(t, "status", "cart", "-o", "yaml").ok(t); !strings.Contains(yaml, "\nautoscaler: cart-scaler\n") && !strings.HasPrefix(yaml, "autoscaler: cart-scaler\n") {
		t.Error(yaml)
	}
}

func TestVersion_IsThatOfTheFlag(t *testing.T) {
	w := newWorld(t)
	if got, want := w.run(t, "version").ok(t), w.run(t, "--version").ok(t); got != want || !strings.HasPrefix(got, "nemesis ") {
		t.Errorf("%q, and the flag says %q", got, want)
	}
}

func TestVersion_ForPrograms(t *testing.T) {
	w := newWorld(t)
	var got versions
	if err := json.Unmarshal([]byte(w.run(t, "version", "-o", "json").ok(t)), &got); err != nil || got.Version != build.Version() || got.Revision == "" || !strings.HasPrefix(got.Go, "go1.") {
		t.Errorf("%+v %v", got, err)
	}
	if text := w.run(t, "version", "-o", "yaml").ok(t); !strings.Contains(text, "version: "+build.Version()+"\n") {
		t.Error(text)
	}
	w.run(t, "version", "-o", "xml").fails(t, misused, "--output xml is not allowed")
}

func TestStatus_NothingThere(t *testing.T) {
	w := newWorld(t)
	golden(t, "status-empty.txt", w.run(t, "status").ok(t))
	if got := w.run(t, "status", "-o", "json").ok(t); got != "[]\n" {
		t.Errorf("%q", got)
	}
}

func TestStatus_OfOne(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{asleep(), awake(), broken()}
	golden(t, "status-one.txt", w.run(t, "status", "cart").ok(t))
	golden(t, "status-broken.txt", w.run(t, "status", "shop/broken").ok(t))
	if by := w.run(t, "status", "cart-scaler").ok(t); by != w.run(t, "status", "cart").ok(t) {
		t.Errorf("by the CustomAutoscaler: %s", by)
	}
	w.run(t, "status", "nobody").fails(t, missing, "no CustomAutoscaler names the Deployment shop/nobody")
	w.run(t, "status", "a/b/c").fails(t, misused, `"a/b/c" is no application`)
	twice := awake()
	twice.Deployment = "cart-two"
	w.apps = append(w.apps, twice)
	w.run(t, "status", "cart-scaler").fails(t, misused, "has 2 Deployments: name one of them: cart, cart-two")
}

func TestStatus_ColoursForTerminalsAlone(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{awake()}
	plain := w.run(t, "status").out
	for name, c := range map[string]struct {
		terminal, colours bool
		env               map[string]string
	}{
		"a terminal":     {true, true, nil},
		"a pipe":         {false, false, nil},
		"NO_COLOR":       {true, false, map[string]string{"NO_COLOR": "1"}},
		"a dumb one":     {true, false, map[string]string{"TERM": "dumb"}},
		"NO_COLOR empty": {true, true, map[string]string{"NO_COLOR": ""}},
	} {
		got := w.runWith(t, func(s *Streams) { s.OutTerminal, s.Env = c.terminal, func(k string) string { return c.env[k] } }, "status").out
		if coloured := strings.Contains(got, "\x1b["); coloured != c.colours || !c.colours && got != plain {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestStatus_WatchShowsWhatIsNew(t *testing.T) {
	for name, c := range map[string]struct {
		args     []string
		terminal bool
		want     string
	}{
		"lines":    {nil, false, "APPLICATION  STATE"},
		"json":     {[]string{"-o", "json"}, false, `[{"autoscaler":"search"`},
		"yaml":     {[]string{"-o", "yaml"}, false, "---\n- autoscaler: search"},
		"terminal": {nil, true, "\x1b[H\x1b[2J"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.apps = []autoscaler.Application{asleep()}
			ctx, stop := context.WithCancel(t.Context())
			changed := &changing{w: w, stop: stop}
			var code int
			args := append([]string{"nemesis", "--controller", w.controller.URL, "--token", "t", "-n", "shop", "status", "--watch", "--interval", "100ms"}, c.args...)
			code = Main(ctx, args, Streams{Out: changed, Err: changed, Env: func(string) string { return "" }, Now: func() time.Time { return now }, OutTerminal: c.terminal})
			if code != done {
				t.Errorf("exit code %d: %s", code, changed.text)
			}
			if n := strings.Count(changed.text, c.want); !strings.Contains(changed.text, "Waking") || n == 0 || name == "lines" && n != 1 {
				t.Errorf("%q", changed.text)
			}
		})
	}
}

// changing has the application wake when it was shown, and stops when that was shown.
type changing struct {
	w    *world
	stop func()
	text string
}

func (c *changing) Write(p []byte) (int, error) {
	c.text += string(p)
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if strings.Contains(c.text, "Waking") {
		c.stop()
	}
	c.w.apps[0].State, c.w.waking = autoscaler.ApplicationStateWaking, 1000
	return len(p), nil
}

func TestWhy(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{awake(), asleep()}
	golden(t, "why-before.txt", w.run(t, "why", "cart").ok(t)) // the ring has none: the last one is the application's
	w.decisions = []autoscaler.Decision{*awake().LastDecision}
	for i, d := range []autoscaler.Decision{
		decision("01-cart-16", 1, 1, "stays at 1: no traffic for 90 s, but no load balancer reports", "held"),
		decision("01-cart-15", 0, 1, "0 → 1: 1 request waits", "applied"),
		decision("01-cart-14", 1, 0, "1 → 0: no traffic for 90 s", "applied"),
	} {
		d.Time = now.Add(-time.Duration(i+2) * time.Hour)
		w.decisions = append(w.decisions, d)
	}
	w.decisions[2].Error = new("the API server is away")
	golden(t, "why.txt", w.run(t, "why", "cart").ok(t))
	golden(t, "why-last.txt", w.run(t, "why", "cart", "--last", "4").ok(t))
	golden(t, "why-not.txt", w.run(t, "why", "cart", "--not").ok(t))
	for at, id := range map[string]string{"0s": "17", "30m": "16", "2h": "16", "2h30m": "15", "2026-01-02T00:04:05Z": "15", "5h": ""} {
		got := w.run(t, "why", "cart", "--at", at).ok(t)
		if w.limit != 500 {
			t.Errorf("%d decisions are asked for at a time", w.limit)
		}
		if id == "" && !strings.Contains(got, "remembers no decision") || id != "" && (!strings.Contains(got, "decision 01-cart-"+id) || strings.Count(got, "decision 01-") != 1) {
			t.Errorf("at %s: %s", at, got)
		}
	}
	golden(t, "why-not-nothing.txt", w.run(t, "why", "search", "--not").ok(t))
	// What the controller holds begins there: before that is forgotten, and after it was not.
	w.complete = new(now.Add(-270 * time.Minute))
	for _, c := range []struct{ args, want string }{
		{"cart --at 5h", "The decision on shop/cart that held at 2026-01-01T22:04:05Z is forgotten: the controller holds those from 2026-01-01T22:34:05Z on."},
		{"cart --last 9", "Those before are forgotten: the controller holds those from 2026-01-01T22:34:05Z on."},
		{"search --not", "Of shop/search nothing was held back since 2026-01-01T22:34:05Z; what was before is forgotten."},
		{"search --not --at 5h", "What was held back of shop/search before 2026-01-01T22:04:05Z is forgotten: the controller holds those from 2026-01-01T22:34:05Z on."},
		{"search --not --at 4h", "Of shop/search nothing was held back since 2026-01-01T22:34:05Z"},
	} {
		if got := w.run(t, append([]string{"why"}, strings.Fields(c.args)...)...).ok(t); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.args, got)
		}
	}
	w.apps[1].LastDecision = nil
	if got := w.run(t, "why", "search", "--at", "4h").ok(t); !strings.Contains(got, "The controller remembers no decision on shop/search of before") {
		t.Errorf("there never was one: %s", got)
	}
	if got := w.run(t, "why", "cart", "--last", "2").ok(t); strings.Contains(got, "forgotten") {
		t.Errorf("all that were asked for are there: %s", got)
	}
	w.run(t, "why", "cart", "--at", "yesterday").fails(t, misused, "--at yesterday is not allowed")
	w.run(t, "why", "cart", "--last", "0").fails(t, misused, "--last 0 is not allowed: from 1 to 1000")
	w.run(t, "why", "cart", "--at", "1m", "--if", "idleTime=3").fails(t, misused, "if")
	w.run(t, "why").fails(t, misused, "it is used as: nemesis why APP")
}

func TestWhy_If(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{awake()}
	w.object.Spec = autoscaler.CustomAutoscalerSpec{
		IdleTime: new(int32(90)), CpuThreshold: new(int32(700)),
		TargetDeployments: []autoscaler.TargetDeployment{{Name: "cart", ApiPrefix: "/cart", Port: "80"}},
	}
	golden(t, "why-if.txt", w.run(t, "why", "cart", "--if", "spec.minReplicas=2", "--if", "cpuThreshold=null", "--if", "behavior.scaleDown={selectPolicy: Disabled}").ok(t))
	if len(w.previewed) != 2 || w.previewed[0].MinReplicas != nil || value(w.previewed[0].CpuThreshold) != 700 {
		t.Fatalf("asked %+v", w.previewed)
	}
	if s := w.previewed[1]; value(s.MinReplicas) != 2 || s.CpuThreshold != nil || value(s.IdleTime) != 90 || value(s.Behavior.ScaleDown.SelectPolicy) != autoscaler.SelectDisabled || s.TargetDeployments[0].Name != "cart" {
		t.Errorf("asked %+v", s)
	}
	if len(w.asked) != 0 {
		t.Errorf("something was changed: %v", w.asked)
	}
	for with, said := range map[string]string{"idletime=3": "there is no field idletime", "idle=3": "unknown field", "idleTime": "write field=value", "=3": "write field=value", "idleTime=soon": "cannot unmarshal", "idleTime={": "write field=value"} {
		w.run(t, "why", "cart", "--if", with).fails(t, misused, "--if "+with, said)
	}
}

func TestWakeups(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{awake(), asleep()}
	w.object.Status = &autoscaler.CustomAutoscalerStatus{Targets: &[]autoscaler.TargetStatus{
		{Name: "other", Learned: &autoscaler.Learned{StartSeconds: &[]float64{100}}},
		{Name: "search", Learned: &autoscaler.Learned{StartSeconds: &[]float64{4.1, 3.9, 4.4, 12, 4}}},
	}}
	golden(t, "wakeups.txt", w.run(t, "wakeups", "search").ok(t))
	golden(t, "wakeups-none.txt", w.run(t, "wakeups", "cart").ok(t))
	var got wakeUp
	if err := json.Unmarshal([]byte(w.run(t, "wakeups", "search", "-o", "json").ok(t)), &got); err != nil || len(got.Starts) != 5 || len(got.Last.Phases) != 5 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestTop(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{asleep(), awake()}
	golden(t, "top.txt", w.run(t, "top", "-A").ok(t))
	seen := rates{}
	seen.rows(w.apps, now)
	w.apps[1].Traffic.Requests += 30
	rows := seen.rows(w.apps, now.Add(2*time.Second))
	if rows[0].Deployment != "cart" || value(rows[0].PerSecond) != 15 || value(rows[1].PerSecond) != 0 {
		t.Errorf("%+v", rows)
	}
	w.apps[1].Traffic.Requests = 5 // a load balancer is new
	if rows = seen.rows(w.apps, now.Add(4*time.Second)); rows[0].PerSecond != nil {
		t.Errorf("%+v", rows)
	}
	if seen.rows(w.apps[:1], now.Add(6*time.Second)); len(seen.requests) != 1 {
		t.Errorf("of what has gone is remembered: %v", seen.requests)
	}
}

// A column for GPUs is there where a pod says something of them: of a slice of one its memory alone.
func TestStatusAndTop_ShowGPUsWhereThereAreAny(t *testing.T) {
	w := newWorld(t)
	app := awake()
	app.Pods[0].Metrics.Values.GpuUsage, app.Pods[0].Metrics.Values.GpuMemoryUsage, app.Pods[0].Metrics.Values.GpuPower = new(62.5), new(41_000.0), new(287.25)
	app.Pods[1].Metrics = &autoscaler.PodUse{Fresh: true, Source: autoscaler.Sidecar, Values: common.Measurements{GpuMemoryUsage: new(512.0)}}
	w.apps = []autoscaler.Application{asleep(), app}
	golden(t, "status-gpu.txt", w.run(t, "status", "cart").ok(t))
	golden(t, "top-gpu.txt", w.run(t, "top", "-A").ok(t))
	app.Pods[0].Metrics.Fresh = false // what was is not what is
	if got := gpuOf(app.Pods); got != nil {
		t.Errorf("%v", *got)
	}
}

func TestWakeAndSleep_WaitUntilItIsSo(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{asleep(), awake(), broken()}
	golden(t, "wake.txt", w.run(t, "wake", "search").ok(t))
	golden(t, "wake-again.txt", w.run(t, "wake", "search").ok(t))
	golden(t, "sleep.txt", w.run(t, "sleep", "search").ok(t))
	golden(t, "wake-no-wait.txt", w.run(t, "wake", "search", "--wait=false").ok(t))
	w.run(t, "wake", "broken").fails(t, unfinished, "shop/broken cannot start: ImagePullBackOff: no such image")
	w.refusal = "shop/cart is not put to sleep: it is in use, 5 in flight and 2 waiting"
	w.run(t, "sleep", "cart").fails(t, failed, w.refusal)
	w.apps[0].State, w.refusal = autoscaler.ApplicationStateAsleep, ""
	for _, verb := range []string{"wake", "sleep"} {
		w.run(t, verb, "nobody").fails(t, missing, "no CustomAutoscaler")
	}
}

func TestWake_SaysWhyItDidNotComeAbout(t *testing.T) {
	w := newWorld(t)
	stuck := broken()
	stuck.Deployment, stuck.State = "stuck", autoscaler.ApplicationStateWaking
	stuck.Conditions = nil
	w.apps = []autoscaler.Application{stuck}
	w.waking = 1 << 30
	w.run(t, "wake", "stuck", "--timeout", "20ms").fails(t, unfinished, "shop/stuck is waking after 20 ms: broken-1: ImagePullBackOff: no such image")
}

func TestPauseAndResume_ChangeTheMode(t *testing.T) {
	w := newWorld(t)
	w.apps = []autoscaler.Application{awake()}
	w.object.Spec.TargetDeployments = []autoscaler.TargetDeployment{{Name: "cart"}, {Name: "cart"}, {Name: "cart-two"}}
	text := ""
	for _, args := range [][]string{{"pause", "cart"}, {"pause", "cart", "--replicas", "2"}, {"pause", "cart", "--replicas", "0"}, {"pause", "cart", "--observe"}, {"resume", "cart"}, {"resume", "other"}} {
		text += w.run(t, args...).ok(t)
	}
	golden(t, "pause.txt", text)
	want := []string{
		`patch cart-scaler {"mode":"Paused","pausedReplicas":null}`, `patch cart-scaler {"mode":"Paused","pausedReplicas":2}`,
		`patch cart-scaler {"mode":"Paused","pausedReplicas":0}`, `patch cart-scaler {"mode":"Observe","pausedReplicas":null}`,
		`patch cart-scaler {"mode":null,"pausedReplicas":null}`, `patch other {"mode":null,"pausedReplicas":null}`,
	}
	if strings.Join(w.asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked\n%s", strings.Join(w.asked, "\n"))
	}
	w.run(t, "pause", "cart", "--replicas", "-1").fails(t, misused, "--replicas -1 is not allowed")
	w.run(t, "pause", "cart", "--replicas", "1", "--observe").fails(t, misused, "replicas")
}

func TestSettings_WhatIsNotNamedStays(t *testing.T) {
	w := newWorld(t)
	w.settings = common.BalancerSettings{Policy: new(common.LeastConnections), MaxConnections: new(int32(10000)), TimeoutSeconds: new(int32(600))}
	golden(t, "settings-get.txt", w.run(t, "settings", "get").ok(t))
	golden(t, "settings-get.txt", w.run(t, "settings").ok(t))
	w.run(t, "settings", "show").fails(t, misused, `unknown command "show"`)
	golden(t, "settings-set.txt", w.run(t, "settings", "set", "policy=prequal", "timeout_seconds=30").ok(t))
	if got := fields(w.settings); got["policy"] != "prequal" || got["max_connections"] != int32(10000) || got["timeout_seconds"] != int32(30) {
		t.Errorf("%v", got)
	}
	w.run(t, "settings", "set", "timeout_seconds=90000").fails(t, failed, "timeout_seconds: 90000 is not allowed: from 1 to 86400")
	w.run(t, "settings", "set", "timeout_seconds=soon").fails(t, misused, "timeout_seconds=soon is not allowed: a whole number")
	w.run(t, "settings", "set", "colour=red").fails(t, misused, `"colour=red" is no setting: write NAME=VALUE, of policy, max_connections, timeout_seconds`)
	w.run(t, "settings", "set").fails(t, misused)
	if got := fields(w.settings); got["timeout_seconds"] != int32(30) {
		t.Errorf("a refused change was made: %v", got)
	}
}
