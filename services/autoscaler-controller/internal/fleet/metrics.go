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
	GPUPower         Gauge = "gpuPower"
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
	// ValidFor is how long it counts, unless a newer one comes; 0: as usual from this source.
	ValidFor time.Duration
}

func (m *Measurement) validFor() time.Duration {
	if m.ValidFor > 0 {
		return m.ValidFor
	}
	return m.Source.freshFor()
}

// Measure takes measurements. It returns the applications to decide on anew: those of which a decision
// would now go by something else. Of a pod that no application has the last word is kept for a moment,
// and costs no more: the pod may be seen soon.
func (f *Fleet) Measure(list []Measurement, now time.Time) (touched []Key) {
	f.roster.mu.RLock()
	defer f.roster.mu.RUnlock()
	var w *watch // made for the first that anybody knows
	for i := range list {
		list[i].At = earlier(list[i].At, now)
		a, said := f.whose(list[i : i+1])
		if a == nil {
			continue
		}
		if w == nil {
			who := f.watching(now)
			w = &who
		}
		if f.measure(a, said, w, now) {
			touched = append(touched, a.key)
		}
	}
	slices.SortFunc(touched, Key.Compare)
	return slices.Compact(touched)
}

// whose is the application of the pod of one measurement, and what is said of the pod; nil: nobody knows it,
// and what is said is kept for a moment.
func (f *Fleet) whose(one []Measurement) (a *application, said []Measurement) {
	pod := one[0].Pod
	if a = f.owner(pod); a != nil {
		return a, one
	}
	f.strangers.put(one[0])
	if a = f.owner(pod); a == nil {
		return nil, nil
	}
	return a, f.strangers.take(pod) // it was seen meanwhile, perhaps before this was kept
}

// measure takes what is said of a pod. It returns whether its application is to be decided on anew.
func (f *Fleet) measure(a *application, said []Measurement, w *watch, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	news := false
	for i := range said {
		news = a.measure(said[i], now) || news
	}
	if !news {
		return false
	}
	f.tellLoads(a, now)
	return a.heard(&f.roster, w, now)
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
func (a *application) means(now time.Time) []scaling.Mean {
	metrics := looked(a.seen.Spec)
	list := make([]scaling.Mean, 0, len(metrics))
	for _, metric := range metrics {
		m := scaling.Mean{Metric: metric}
		for i := range a.seen.Pods {
			p, known := &a.seen.Pods[i], a.pods[a.seen.Pods[i].Name]
			if p.Terminating || a.draining(*p) || !known.isReady(*p) {
				continue // one that drains does nothing new, and is no capacity
			}
			v, age, ok := known.fresh(gaugeOf[metric], now, a.speaks(p, known, metric))
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

// Unmeasured are the namespaces in which pods that run have no fresh word of a sidecar: the
// Kubernetes metrics API is asked about them.
func (f *Fleet) Unmeasured(now time.Time) []string {
	found := map[string]bool{}
	for _, a := range f.members(f.awake) {
		if !found[a.key.Namespace] && a.unmeasured(now) {
			found[a.key.Namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func (a *application) unmeasured(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.seen.Pods {
		p := &a.seen.Pods[i]
		if p.Started && !a.pods[p.Name].measured(now) {
			return true
		}
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}
