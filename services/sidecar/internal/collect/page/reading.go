package page

import (
	"maps"
	"slices"
	"strings"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// maxModels are named; of others it is said how many there are.
const maxModels = 16

// Reading is what a page says now.
type Reading struct {
	Gauges   map[pod.Kind]float64
	Means    map[pod.Kind]Mean   // milliseconds
	Counts   map[pod.Kind]Count  // requests since the application began
	Withheld map[pod.Kind]string // what the page shows and cannot be relied on, with the reason
	Started  float64             // when the process that answered began, in seconds; 0 is not known
	Server   pod.Application     // whose page it is
}

// Count is a counter. From is its name: two counters say nothing of each other.
type Count struct {
	From  string
	Value float64
}

// Mean is a sum and the number of what was summed, both since the application began.
type Mean struct {
	From       string
	Sum, Count float64
}

// known are the names of all samples that are looked for, each under itself, so that a line is found
// without a copy of it; ofFamily those that a TYPE line speaks of.
var known, ofFamily = func() (map[string]string, map[string][]string) {
	names, families := map[string]string{processStarted: processStarted}, map[string][]string{}
	for i := range servers {
		for _, name := range servers[i].names() {
			names[name] = name
		}
	}
	for name := range names {
		families[name] = append(families[name], name)
		for _, suffix := range []string{"_sum", "_count", "_total"} {
			if family, ok := strings.CutSuffix(name, suffix); ok {
				families[family] = append(families[family], name)
			}
		}
	}
	return names, families
}()

// read takes each value from the first server that shows it.
func read(p parsed) Reading {
	r := Reading{
		Gauges: map[pod.Kind]float64{}, Means: map[pod.Kind]Mean{}, Counts: map[pod.Kind]Count{},
		Withheld: map[pod.Kind]string{},
	}
	if began := p.samples[processStarted]; len(began) == 1 {
		r.Started = began[0].value
	}
	for i := range servers {
		if s := &servers[i]; s.shownBy(p) {
			r.whose(s, p)
			r.gauge(pod.InFlight, s.running, s, p)
			r.gauge(pod.Queued, s.queued, s, p)
			r.gauge(pod.CacheUsage, s.cache, s, p)
			r.mean(pod.ResponseTime, s.response, s, p)
			r.mean(pod.TimeToFirstToken, s.firstToken, s, p)
			r.count(pod.RequestRate, s.requests, s, p)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.lost)) {
		r.Server.Unread = append(r.Server.Unread, name+" "+p.lost[name])
	}
	return r
}

func (p parsed) shows(name string) bool {
	return len(p.samples[name]) > 0 || p.declared[name] || p.lost[name] != ""
}

// shownBy tells whether it is this server's page, or one that shows the same.
func (s *server) shownBy(p parsed) bool {
	if s.sign != "" {
		return p.shows(s.sign)
	}
	return slices.ContainsFunc(s.values(), p.shows)
}

// whose takes down the first server that is found: those that follow are around it.
func (r *Reading) whose(s *server, p parsed) {
	if r.Server.Server != "" {
		return
	}
	r.Server.Server, r.Server.Version = s.name, s.version
	names := map[string]bool{}
	for _, m := range p.samples[s.models.of] {
		for _, label := range m.labels {
			if label.name == s.models.name && label.value != "" {
				names[label.value] = true
			}
		}
	}
	r.Server.Models = slices.Sorted(maps.Keys(names))
	if n := len(r.Server.Models); n > maxModels {
		r.Server.Models, r.Server.MoreModels = r.Server.Models[:maxModels], n-maxModels
	}
}

// settled tells that a server before this one has said something of the kind.
func (r *Reading) settled(k pod.Kind) bool {
	_, gauge := r.Gauges[k]
	_, mean := r.Means[k]
	_, count := r.Counts[k]
	_, withheld := r.Withheld[k]
	return gauge || mean || count || withheld
}

// withhold says why a value is not known although one of the names is there.
func (r *Reading) withhold(k pod.Kind, p parsed, names ...string) bool {
	for _, name := range names {
		if why := p.lost[name]; why != "" {
			r.Withheld[k] = "on the application's metrics page " + name + " " + why
			return true
		}
	}
	return false
}

// work is the samples of a name that are of a client's requests.
func (s *server) work(p parsed, name string) []metric {
	var out []metric
	for _, m := range p.samples[name] {
		if !ofProbe(m) && !slices.ContainsFunc(s.leave, func(l labels) bool { return l.match(m) }) {
			out = append(out, m)
		}
	}
	return out
}

func total(metrics []metric) float64 {
	sum := 0.0
	for _, m := range metrics {
		sum += m.value
	}
	return sum
}

// gauge adds up what the engines, replicas and models of one server show; of shares it takes the mean.
func (r *Reading) gauge(k pod.Kind, names []string, s *server, p parsed) {
	if r.settled(k) {
		return
	}
	for _, name := range names {
		if r.withhold(k, p, name) {
			return
		}
		if len(p.samples[name]) == 0 {
			continue
		}
		found := s.work(p, name)
		sum := total(found)
		switch {
		case k == pod.CacheUsage:
			if len(found) == 0 {
				continue
			}
			sum /= float64(len(found))
		case s.unless.holds(p):
			r.Withheld[k] = s.unless.why
			return
		case k == pod.InFlight && s.ownToo && !tellsPaths(p.samples[name]):
			// A web server that counts what is in progress counts the request for the page too, and would
			// never be idle; where paths are told apart it was left out with the probes.
			sum = max(sum-1, 0)
		}
		r.Gauges[k] = sum
		return
	}
}

func (d doubt) holds(p parsed) bool {
	for _, m := range p.samples[d.name] {
		if m.value > 0 && (len(d.leave) == 0 || !d.leave.match(m)) {
			return true
		}
	}
	return false
}

func (r *Reading) mean(k pod.Kind, averages []average, s *server, p parsed) {
	if r.settled(k) {
		return
	}
	for _, a := range averages {
		if r.withhold(k, p, a.sum, a.count) {
			return
		}
		if s.counts(p, a.sum) && s.counts(p, a.count) {
			r.Means[k] = Mean{From: a.sum, Sum: total(s.work(p, a.sum)) * a.unit, Count: total(s.work(p, a.count))}
			return
		}
	}
}

func (r *Reading) count(k pod.Kind, names []string, s *server, p parsed) {
	if r.settled(k) {
		return
	}
	for _, name := range names {
		if r.withhold(k, p, name) {
			return
		}
		if s.counts(p, name) {
			r.Counts[k] = Count{From: name, Value: total(s.work(p, name))}
			return
		}
	}
}

// counts tells whether a counter is there: one with labels has no sample before the first request, and
// stands at 0 then.
func (s *server) counts(p parsed, name string) bool {
	return len(p.samples[name]) > 0 || p.declared[name]
}
