package fleet

import (
	"maps"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// How long a pod's metrics count, by who measured them: three intervals of a sidecar, and what the
// kubelet's and the metrics server's own periods add up to.
const (
	SidecarFreshFor    = 20 * time.Second
	KubernetesFreshFor = 90 * time.Second
	metricsForgetFor   = 5 * time.Minute
	// MaxMeasuredPods bounds how many pods' metrics are kept.
	MaxMeasuredPods = 20_000
)

// Source is who measured.
type Source string

// The sources, as in the contract.
const (
	Sidecar    Source = "Sidecar"
	Kubernetes Source = "Kubernetes"
)

func (s Source) freshFor() time.Duration {
	if s == Sidecar {
		return SidecarFreshFor
	}
	return KubernetesFreshFor
}

// Gauge names one value of a pod, as in the contract.
type Gauge string

// The gauges. Rules look at the first four; the others are shown.
const (
	CPUUsage         Gauge = "cpuUsage"
	MemoryUsage      Gauge = "memoryUsage"
	DiskUsage        Gauge = "diskUsage"
	ResponseTime     Gauge = "responseTime"
	GPUUsage         Gauge = "gpuUsage"
	GPUMemoryUsage   Gauge = "gpuMemoryUsage"
	InFlight         Gauge = "inFlight"
	Queued           Gauge = "queued"
	CacheUsage       Gauge = "cacheUsage"
	RequestRate      Gauge = "requestRate"
	TimeToFirstToken Gauge = "timeToFirstToken"
)

var gaugeOf = map[scaling.Metric]Gauge{
	scaling.CPU: CPUUsage, scaling.Memory: MemoryUsage, scaling.Disk: DiskUsage, scaling.ResponseTime: ResponseTime,
	scaling.RunningRequests: InFlight, scaling.QueuedRequests: Queued, scaling.CacheUsage: CacheUsage, scaling.GPU: GPUUsage,
}

// scaleOf is what a gauge is multiplied by to be the metric: the cache is a share, and its metric percent.
func scaleOf(m scaling.Metric) float64 {
	if m == scaling.CacheUsage {
		return 100
	}
	return 1
}

// PodName names a pod.
type PodName struct{ Namespace, Name string }

// Measurement is what one pod uses. A value that was not measured is absent.
type Measurement struct {
	Pod    PodName
	Source Source
	At     time.Time
	From   time.Time // since when it counts; zero: since the one before
	Values map[Gauge]float64
}

// firstWindow is how long a first measurement is taken to have lasted that does not say.
const firstWindow = 10 * time.Second

// begins is since when a measurement counts.
func (m Measurement) begins(before Measurement) time.Time {
	switch {
	case !m.From.IsZero():
		return m.From
	case !before.At.IsZero():
		return before.At
	default:
		return m.At.Add(-firstWindow)
	}
}

// use is what is known of one pod, by source.
type use map[Source]Measurement

// Measure takes measurements. It returns the applications to decide on anew, and how many were
// dropped because too many pods are measured. Those of a pod that no application has are kept for a
// while: the pod may be seen a moment later.
func (f *Fleet) Measure(list []Measurement, now time.Time) (touched []Key, dropped int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range list {
		m.At = earlier(m.At, now)
		known, ok := f.uses[m.Pod]
		if !ok {
			if len(f.uses) >= MaxMeasuredPods {
				f.sweep(now)
			}
			if len(f.uses) >= MaxMeasuredPods {
				dropped++
				continue
			}
			known = use{}
			f.uses[m.Pod] = known
		}
		if !m.At.After(known[m.Source].At) {
			continue // an older one that came late
		}
		m.From = m.begins(known[m.Source])
		known[m.Source] = m
		if k, ok := f.owners[m.Pod]; ok {
			touched = append(touched, k)
			f.apps[k].works(m)
		}
	}
	slices.SortFunc(touched, Key.Compare)
	touched = slices.Compact(touched)
	for _, k := range touched {
		if a, ok := f.apps[k]; ok {
			f.tellLoads(a, now)
		}
	}
	return touched, dropped
}

// sweep forgets what is too old to be shown.
func (f *Fleet) sweep(now time.Time) {
	for pod, u := range f.uses {
		maps.DeleteFunc(u, func(_ Source, m Measurement) bool { return now.Sub(m.At) >= metricsForgetFor })
		if len(u) == 0 {
			delete(f.uses, pod)
		}
	}
}

// own notes which pods are an application's, and forgets what those that have gone used.
func (f *Fleet) own(k Key, before, pods []Pod) {
	for _, p := range before {
		delete(f.owners, PodName{k.Namespace, p.Name})
	}
	for _, p := range pods {
		f.owners[PodName{k.Namespace, p.Name}] = k
	}
	for _, p := range before {
		if name := (PodName{k.Namespace, p.Name}); f.owners[name] != k {
			delete(f.uses, name)
		}
	}
}

// PodUse is what a pod uses, who says so, and how long ago.
type PodUse struct {
	Source Source
	Age    time.Duration
	Fresh  bool
	Values map[Gauge]float64
}

// using is what is known of a pod: a sidecar's word while it is fresh, else the newest.
func (f *Fleet) using(pod PodName, now time.Time) *PodUse {
	var best *PodUse
	for _, source := range []Source{Sidecar, Kubernetes} {
		m, ok := f.uses[pod][source]
		if !ok {
			continue
		}
		age := now.Sub(m.At)
		u := &PodUse{Source: source, Age: age, Fresh: age <= source.freshFor(), Values: m.Values}
		if best == nil || u.Fresh && !best.Fresh || !best.Fresh && u.Age < best.Age {
			best = u
		}
	}
	return best
}

// fresh is one value of a pod, by the best source that has it and whose measurement counts.
func (f *Fleet) fresh(pod PodName, g Gauge, now time.Time, counts func(m Measurement) bool) (value float64, age time.Duration, ok bool) {
	for _, source := range []Source{Sidecar, Kubernetes} {
		m, known := f.uses[pod][source]
		if age = now.Sub(m.At); !known || age > source.freshFor() || !counts(m) {
			continue
		}
		if value, ok = m.Values[g]; ok {
			return value, age, true
		}
	}
	return 0, 0, false
}

// speaks tells which measurements of a pod a decision may look at: what was used before the pod was
// ready, to load a model say, is no load; and how long answers took with another number of pods says
// nothing of this one.
func (a *application) speaks(p Pod, metric scaling.Metric) func(m Measurement) bool {
	ready := a.pods[p.Name].readySince(p)
	switch metric {
	case scaling.CPU, scaling.Memory:
		return func(m Measurement) bool { return !m.From.Before(ready) }
	case scaling.ResponseTime:
		return func(m Measurement) bool {
			took := time.Duration(min(m.Values[ResponseTime], 1e9) * float64(time.Millisecond))
			return !m.From.Add(-took).Before(a.changed)
		}
	default:
		return anyMeasurement
	}
}

// looked are the metrics of an application that are measured on its pods: those that are always looked
// at, in their order, and what its rules ask for besides.
func looked(spec scaling.Spec) []scaling.Metric {
	list := slices.Clone(scaling.Metrics)
	for _, m := range spec.Asked() {
		if _, ok := gaugeOf[m]; ok && !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// means are the metrics of an application, in the order of looked.
func (f *Fleet) means(a *application, now time.Time) []scaling.Mean {
	metrics := looked(a.seen.Spec)
	list := make([]scaling.Mean, 0, len(metrics))
	for _, metric := range metrics {
		m := scaling.Mean{Metric: metric}
		for _, p := range a.seen.Pods {
			if p.Terminating || a.draining(p) || !a.pods[p.Name].isReady(p) {
				continue // one that drains does nothing new, and is no capacity
			}
			v, age, ok := f.fresh(PodName{a.seen.Namespace, p.Name}, gaugeOf[metric], now, a.speaks(p, metric))
			if !ok {
				m.Missing++
				continue
			}
			m.Value += v * scaleOf(metric)
			m.Pods++
			m.Age = max(m.Age, age)
		}
		if m.Pods > 0 {
			m.Value /= float64(m.Pods)
		}
		if metric == scaling.ResponseTime {
			m = answered(m, a, now)
		}
		list = append(list, m)
	}
	return list
}

// answered completes the response time: a pod that has not answered lately has none, and misses
// nothing; and where no sidecar measures, the load balancers do.
func answered(m scaling.Mean, a *application, now time.Time) scaling.Mean {
	m.Missing = 0
	if m.Pods > 0 {
		return m
	}
	if mean, age, ok := a.answers.recent(now); ok {
		m.Value, m.Age, m.Pods = mean, age, max(1, a.ready())
	}
	return m
}

func anyMeasurement(Measurement) bool { return true }

// Unmeasured are the namespaces in which pods that run have no fresh word of a sidecar: the
// Kubernetes metrics API is asked about them.
func (f *Fleet) Unmeasured(now time.Time) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := map[string]bool{}
	for k, a := range f.apps {
		if found[k.Namespace] {
			continue
		}
		for _, p := range a.seen.Pods {
			if _, _, ok := f.fresh(PodName{k.Namespace, p.Name}, CPUUsage, now, anyMeasurement); p.Started && (!ok || f.using(PodName{k.Namespace, p.Name}, now).Source == Kubernetes) {
				found[k.Namespace] = true
				break
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}
