package report

import (
	"fmt"
	"io"
	"math"
)

// The builds.
const (
	Ours     = "now"
	Released = "released"
)

// Target is what the project holds itself to, at the largest size that was measured.
type Target struct {
	What         string  `json:"what"`
	Applications int     `json:"applications"`
	Limit        float64 `json:"limit"`
	Value        float64 `json:"value"`
	Met          bool    `json:"met"`
}

func (b *Book) targets() []Target {
	ours := b.of(Ours)
	if len(ours) == 0 {
		return nil
	}
	largest := ours[len(ours)-1]
	most := func(what, metric string, limit float64) Target {
		v := largest.Get(metric)
		return Target{What: what + " (at most)", Applications: largest.Applications, Limit: limit, Value: v, Met: v <= limit}
	}
	list := []Target{
		b.better(), b.slope(ours),
		most("at rest, % of a core", RestCPU, 2),
		most("an annotation, ms of CPU", Event("annotation"), 1),
		most("a status written, ms of CPU", Event("status"), 1),
		most("a Deployment's event, ms of CPU", Event("deployment"), 1),
		most("a pod's event, ms of CPU", Event("pod"), 1),
		most("memory per application, KB", AppRSS, 60),
		most("live heap per pushing pod, KB", PushingHeap, 1.5),
		most("push to decision, p99 ms", DecisionP99, 500),
		most("start call, p99 ms", StartP99, 20),
		most("leader killed: first decision, s", FailoverKill, 5),
		most("leader ended: first decision, s", FailoverTerm, 5),
		most("memory under load, MB", LoadRSS, 1000),
	}
	kept := make([]Target, 0, len(list))
	for _, t := range list {
		if !math.IsNaN(t.Value) {
			kept = append(kept, t)
		}
	}
	return kept
}

// better compares an annotation's cost with the released build's at its largest size.
func (b *Book) better() Target {
	t := Target{What: "an annotation, times cheaper than released (at least)", Limit: 200, Value: math.NaN()}
	released := b.of(Released)
	if len(released) == 0 {
		return t
	}
	before := released[len(released)-1]
	t.Applications = before.Applications
	for _, r := range b.of(Ours) {
		if r.Applications == before.Applications {
			t.Value = before.Get(Event("annotation")) / math.Max(r.Get(Event("annotation")), 0.001)
			t.Met = t.Value >= t.Limit
		}
	}
	return t
}

// slope is what an annotation costs more for each thousand applications: least squares over the sizes.
func (b *Book) slope(ours []Run) Target {
	t := Target{What: "an annotation, ms more per 1,000 applications (at most)", Applications: ours[len(ours)-1].Applications, Limit: 0.05, Value: math.NaN()}
	var x, y []float64
	for _, r := range ours {
		if v := r.Get(Event("annotation")); !math.IsNaN(v) {
			x, y = append(x, float64(r.Applications)/1000), append(y, v)
		}
	}
	if len(x) > 1 {
		t.Value, _ = Line(x, y)
		t.Met = t.Value <= t.Limit
	}
	return t
}

// Line is the least squares line through points.
func Line(x, y []float64) (slope, intercept float64) {
	n := float64(len(x))
	var sx, sy, sxx, sxy float64
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	slope = (n*sxy - sx*sy) / (n*sxx - sx*sx)
	return slope, (sy - slope*sx) / n
}

// Doubt is the standard error of that line's slope.
func Doubt(x, y []float64) float64 {
	slope, intercept := Line(x, y)
	n := float64(len(x))
	var sx, sxx, off float64
	for i := range x {
		sx, sxx = sx+x[i], sxx+x[i]*x[i]
		d := y[i] - intercept - slope*x[i]
		off += d * d
	}
	return math.Sqrt(off / math.Max(n-2, 1) / (sxx - sx*sx/n))
}

// Judge prints which targets are met.
func (b *Book) Judge(w io.Writer) {
	list := b.targets()
	if len(list) > 0 {
		fmt.Fprintf(w, "\n%-60s %14s %10s %10s\n", "Targets", "applications", "limit", "value")
	}
	for _, t := range list {
		verdict := "missed"
		if t.Met {
			verdict = "met"
		}
		fmt.Fprintf(w, "  %-58s %14d %10.2f %10.2f  %s\n", t.What, t.Applications, t.Limit, t.Value, verdict)
	}
}
