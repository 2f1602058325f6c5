//go:build elasticsearch

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// asked is a request as the documents of the first stream tell it; decided and woken are the two
// kinds of the second. What is zero is left out of the document, as the balancer leaves it out.
type asked struct {
	at                                                                          time.Time
	host, app, pod, client, agent, method, path, domain, policy, refusal, fault string
	model, trace, wake                                                          string
	status, in, out, tries, tokensIn, tokensOut                                 int
	latency, upstream, wait, first, rate                                        float64
}

type decided struct {
	at                         time.Time
	host, app, trigger, result string
	rules                      []string
	from, to                   int
	applied                    bool
	trace                      string
}

type woken struct {
	at                              time.Time
	host, app, outcome, id          string
	waited                          int
	called, answered, probe, byteAt float64
}

// known is what the tests put into Elasticsearch: the same every time.
type known struct {
	requests  []asked
	decisions []decided
	wakeUps   []woken
}

var began = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// ended is after the last of them.
var ended = began.Add(2 * time.Hour)

func knownRecords() known {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	id := func() string { return fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64()) }
	apps := []string{"shop/chat", "shop/embed", "lab/vision"}
	var k known
	for i := range 600 {
		app := apps[random.IntN(1+random.IntN(3))]
		r := asked{
			at: began.Add(time.Duration(i)*11*time.Second + time.Duration(random.IntN(9000))*time.Millisecond), app: app, pod: fmt.Sprintf("%s-%d", app[len(app)-4:], random.IntN(3)),
			host: pick("lb-a", "lb-b", "lb-b"), client: fmt.Sprintf("192.0.2.%d", 1+random.IntN(1+random.IntN(40))), agent: pick("curl/8.5", "python-requests/2.32", "Mozilla/5.0 (X11; Linux)"),
			method: pick("GET", "POST", "POST", "PUT"), path: "/" + pick("v1/chat/completions", "v1/embeddings", "", "health", `odd "path"`), domain: pick("shop.example", "lab.example"),
			policy: pick("its turn", "fewest requests in flight", "by chance"), status: 200, in: random.IntN(2000), out: 1 + random.IntN(90000), tries: 1, rate: 1,
			upstream: 2 + random.ExpFloat64()*80, trace: id(),
		}
		switch n := random.IntN(100); {
		case n < 4:
			r.status, r.fault, r.tries = 502, "", 2
		case n < 8:
			r.status, r.refusal, r.fault, r.pod, r.policy, r.upstream = 503, "wake_up_timeout", "wake_up_timeout", "", "", 0
		case n < 11:
			r.status, r.refusal, r.fault, r.app, r.pod, r.policy, r.upstream = 404, "no_route", "no_route", "", "", "", 0
		case n < 14:
			r.fault = "cut-off"
		case n < 17:
			r.status, r.fault = 499, "client-gone"
		case n < 20:
			r.status = 304
		case n < 25:
			r.status = 422
		}
		if r.app == "shop/embed" && r.status == 200 && r.fault == "" {
			r.rate = 0.25
		}
		if r.app == "shop/chat" && r.status == 200 {
			r.model, r.tokensIn, r.tokensOut = pick("llama-3", "mistral"), 1+random.IntN(900), 1+random.IntN(400)
		}
		if random.IntN(12) == 0 {
			r.wait, r.wake, r.rate = 200+random.ExpFloat64()*9000, id(), 1
		}
		r.latency = r.wait + r.upstream + random.Float64()
		if r.status < 300 {
			r.first = r.wait + r.upstream*random.Float64()
		}
		k.requests = append(k.requests, r)
	}
	replicas := map[string]int{}
	for i := range 150 {
		at := began.Add(time.Duration(i)*47*time.Second + time.Duration(100+random.IntN(9))*time.Millisecond)
		d := decided{at: at, host: "autoscaler-controller", app: apps[random.IntN(3)], result: "applied", applied: true, rules: []string{pick("Idle", "Cpu", "Rule:tokens")}, trace: id()}
		d.from = replicas[d.app]
		switch n := random.IntN(10); {
		case d.from == 0:
			d.trigger, d.to, d.rules = "StartCall", 1, []string{"StartCall"}
		case n < 3:
			d.trigger, d.to, d.rules = "Idle", 0, append(d.rules, "MinReplicas")
		case n < 6:
			d.trigger, d.to = "Threshold", d.from+1
		case n < 8:
			d.trigger, d.to, d.result, d.applied = "Rule", d.from, "held", false
			d.rules = append(d.rules, "ScaleDownWindow")
		default:
			d.trigger, d.to, d.result, d.applied = "Bounds", d.from+2, "failed", false
		}
		if d.applied {
			replicas[d.app] = d.to
		}
		k.decisions = append(k.decisions, d)
	}
	for i := range 60 {
		at := began.Add(time.Duration(i)*119*time.Second + time.Duration(500+random.IntN(9))*time.Millisecond)
		w := woken{at: at, host: pick("lb-a", "lb-b"), app: apps[random.IntN(3)], outcome: "answered", id: id(), waited: 1 + random.IntN(9)}
		w.called = 0.2 + random.Float64()
		w.answered = w.called + 2 + random.Float64()*8
		if random.IntN(8) == 0 {
			w.outcome = "failed"
		} else {
			w.probe = w.answered + 300 + random.ExpFloat64()*4000
			w.byteAt = w.probe + random.Float64()*20
		}
		k.wakeUps = append(k.wakeUps, w)
	}
	return k
}

// put adds a field that has a value.
func put[V comparable](to fields, name string, value V) {
	var none V
	if value != none {
		to[name] = value
	}
}

func base(at time.Time, host, app, dataset string) fields {
	out := fields{"@timestamp": at.Format(time.RFC3339Nano), "data_stream.type": "logs", "data_stream.dataset": dataset, "event.dataset": dataset, "host.name": host, "service.name": "load-balancer"}
	if host == "autoscaler-controller" {
		out["service.name"] = host
	} else {
		out["service.version"] = "0.9." + host[len(host)-1:]
	}
	put(out, "nemesis.application", app)
	for i := range app {
		if app[i] == '/' {
			out["kubernetes.namespace"], out["kubernetes.deployment.name"] = app[:i], app[i+1:]
		}
	}
	return out
}

func (r asked) document() fields {
	d := base(r.at, r.host, r.app, "nemesis.access")
	d["event.action"], d["event.outcome"] = "proxied", "success"
	if r.status >= 400 || r.fault == "cut-off" {
		d["event.outcome"] = "failure"
	}
	d["http.response.status_code"], d["nemesis.tries"], d["nemesis.sample_rate"], d["nemesis.latency.ms"] = r.status, r.tries, r.rate, r.latency
	for name, value := range map[string]string{
		"kubernetes.pod.name": r.pod, "client.address": r.client, "client.ip": r.client, "user_agent.original": r.agent, "http.request.method": r.method, "url.path": r.path, "url.domain": r.domain,
		"nemesis.policy": r.policy, "nemesis.refusal": r.refusal, "error.type": r.fault, "gen_ai.response.model": r.model, "trace.id": r.trace, "nemesis.wakeup.id": r.wake,
	} {
		put(d, name, value)
	}
	for name, value := range map[string]int{"http.request.body.bytes": r.in, "http.response.body.bytes": r.out, "gen_ai.usage.input_tokens": r.tokensIn, "gen_ai.usage.output_tokens": r.tokensOut} {
		put(d, name, value)
	}
	put(d, "nemesis.wait.ms", r.wait)
	put(d, "nemesis.upstream.ms", r.upstream)
	put(d, "nemesis.time_to_first_byte.ms", r.first)
	return d
}

func (r decided) document() fields {
	d := base(r.at, r.host, r.app, "nemesis.scaling")
	d["event.action"], d["nemesis.decision.trigger"], d["nemesis.decision.result"], d["nemesis.decision.rules"] = "decision", r.trigger, r.result, r.rules
	d["nemesis.decision.from"], d["nemesis.decision.to"], d["nemesis.replicas"], d["nemesis.decision.applied"], d["trace.id"] = r.from, r.to, r.to, r.applied, r.trace
	return d
}

func (r woken) document() fields {
	d := base(r.at, r.host, r.app, "nemesis.scaling")
	d["event.action"], d["nemesis.wakeup.outcome"], d["nemesis.wakeup.id"], d["nemesis.wakeup.waited"] = "wakeup", r.outcome, r.id, r.waited
	put(d, "nemesis.wakeup.start_called.ms", r.called)
	put(d, "nemesis.wakeup.start_answered.ms", r.answered)
	put(d, "nemesis.wakeup.first_good_probe.ms", r.probe)
	put(d, "nemesis.wakeup.first_byte.ms", r.byteAt)
	return d
}

// streams are the documents of the two.
func (k known) streams() (requests, others []fields) {
	for _, r := range k.requests {
		requests = append(requests, r.document())
	}
	for _, r := range k.decisions {
		others = append(others, r.document())
	}
	for _, r := range k.wakeUps {
		others = append(others, r.document())
	}
	return requests, others
}

// documents are the ones that each data view shows.
func (k known) documents() map[string][]document {
	out := map[string][]document{}
	requests, others := k.streams()
	for view, list := range map[string][]fields{access.id: requests, scaling.id: others, both.id: slices.Concat(requests, others)} {
		for _, d := range list {
			out[view] = append(out[view], read(d))
		}
	}
	return out
}

// read is the document as the expectations are computed of it.
func read(d fields) document {
	out := document{}
	for name, value := range d {
		switch v := value.(type) {
		case int:
			out[name] = []any{float64(v)}
		case []string:
			for _, one := range v {
				out[name] = append(out[name], one)
			}
		case string:
			if at, err := time.Parse(time.RFC3339Nano, v); name == "@timestamp" && err == nil {
				out[name] = []any{at}
				continue
			}
			out[name] = []any{v}
		default:
			out[name] = []any{v}
		}
	}
	return out
}
