package simulate

import (
	"slices"
	"time"
)

// warmUp is the share of requests at the beginning that latencies are not taken from.
const warmUp = 10

// Result is what came of a scenario.
type Result struct {
	Requests    int // answered, all of them
	Failures    int // answered with an error
	Later       int // of them, by requests that arrived after settleTime
	LaterOf     int // requests that arrived after it
	Unfinished  int // must be 0
	P50         time.Duration
	P99         time.Duration
	P999        time.Duration
	Mean        time.Duration
	Imbalance   float64 // the busiest pod's utilisation over the mean
	Utilisation float64 // of the workers' time
	ByPod       []int   // requests

	took []time.Duration
}

// settleTime is how long failing pods may be found out.
const settleTime = 2 * time.Second

func (r *Result) note(q *request, status int, s *server) {
	w := s.w
	if r.ByPod == nil {
		r.ByPod = make([]int, len(w.servers))
	}
	r.Requests++
	r.ByPod[s.index]++
	later := q.arrived >= settleTime
	if later {
		r.LaterOf++
	}
	switch {
	case status >= 400:
		r.Failures++
		if later {
			r.Later++
		}
	case r.Requests > w.Requests/warmUp:
		r.took = append(r.took, w.now-q.arrived)
	}
}

func (r *Result) finish(w *world) {
	r.Unfinished = w.under + w.left
	if len(r.took) > 0 {
		slices.Sort(r.took)
		at := func(q float64) time.Duration { return r.took[int(q*float64(len(r.took)-1))] }
		r.P50, r.P99, r.P999 = at(.5), at(.99), at(.999)
		var sum time.Duration
		for _, t := range r.took {
			sum += t
		}
		r.Mean = sum / time.Duration(len(r.took))
	}
	most, sum, n := 0.0, 0.0, 0.0
	for _, s := range w.servers {
		if s.FailShare < 1 {
			use := s.busy.Seconds() / (w.now - s.Joins).Seconds() / float64(s.Workers)
			most, sum, n = max(most, use), sum+use, n+1
		}
	}
	r.Utilisation, r.Imbalance = sum/n, most*n/sum
	r.took = nil
}
