package simulate

import (
	"cmp"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
)

// request is one request on its way.
type request struct {
	arrived time.Duration
	cost    time.Duration
	key     uint64
	by      *balancer
	target  *balance.Pod
	level   int32
	sent    time.Duration
}

// balancer is one load balancer, with its own view of the pods.
type balancer struct {
	w     *world
	pool  *balance.Pool
	pods  []*balance.Pod // one for each of the world's, in the same order
	queue []*request
	wakes time.Time // when it looks again although nothing happens
}

// server is a pod at work.
type server struct {
	Pod
	w       *world
	index   int
	queue   []*request
	running int
	done    int
	busy    time.Duration
	joined  bool
}

// world is all of it.
type world struct {
	clock
	Scenario
	random    *rand.Rand
	balancers []*balancer
	servers   []*server
	left      int // requests that have not arrived yet
	under     int // way
	result    Result
}

// Run simulates the scenario with the policy of that name.
func Run(s Scenario, policy string, seed uint64) Result {
	w := &world{Scenario: s, random: rand.New(rand.NewPCG(seed, 1)), left: s.Requests}
	for i, p := range s.Pods {
		w.servers = append(w.servers, &server{Pod: p, w: w, index: i, joined: p.Joins == 0})
	}
	for k := range s.Balancers {
		w.balancers = append(w.balancers, w.newBalancer(policy, rand.New(rand.NewPCG(seed, uint64(k)+2))))
	}
	for i, p := range s.Pods {
		if p.Joins > 0 {
			w.after(p.Joins, func() { w.join(i) })
		}
	}
	if s.Gauges > 0 {
		w.after(s.Gauges, w.gauge)
	}
	w.after(0, w.arrive)
	w.run()
	w.result.finish(w)
	return w.result
}

func (w *world) newBalancer(policy string, r *rand.Rand) *balancer {
	chosen, _ := balance.ByName(policy, r.IntN)
	l := &balancer{w: w, pool: balance.NewPool(chosen, r.IntN, r.Float64)}
	for i, server := range w.servers {
		p := &balance.Pod{ID: balance.Hash("pod-" + strconv.Itoa(i))}
		p.SetUsable(server.joined)
		p.SetLimit(w.Limit)
		l.pods = append(l.pods, p)
	}
	l.pool.SetPods(l.pods)
	return l
}

// join lets a pod come.
func (w *world) join(i int) {
	w.servers[i].joined = true
	for _, l := range w.balancers {
		l.pods[i].SetUsable(true)
		l.pods[i].StartRamp(balance.JoinedFirst, w.time())
		l.admit()
	}
}

// arrive brings one request, and plans the next one.
func (w *world) arrive() {
	w.left--
	w.under++
	r := &request{arrived: w.now, cost: w.Cost.Draw(w.random), by: w.balancers[w.random.IntN(len(w.balancers))]}
	if w.Keys > 0 {
		r.key = balance.Hash(strconv.Itoa(w.random.IntN(w.Keys)))
	}
	r.by.queue = append(r.by.queue, r)
	r.by.admit()
	if w.left > 0 {
		w.after(time.Duration(w.random.ExpFloat64()/(w.Load*w.capacity())*float64(time.Second)), w.arrive)
	}
}

// admit sends whom the pods can take, the oldest first.
func (l *balancer) admit() {
	for len(l.queue) > 0 {
		r := l.queue[0]
		p, _, _ := l.pool.Pick(balance.Request{Key: r.key}, l.w.time())
		if p == nil {
			l.lookAgain()
			return
		}
		l.queue = l.queue[1:]
		r.target, r.sent, r.level = p, l.w.now, p.Sent()
		for i := range l.pods {
			if l.pods[i] == p {
				l.w.servers[i].take(r)
			}
		}
	}
}

// lookAgain plans to look when the pool changes by itself.
func (l *balancer) lookAgain() {
	next := l.pool.Next(l.w.time())
	if next.IsZero() || !l.wakes.IsZero() && !next.Before(l.wakes) {
		return
	}
	l.wakes = next
	l.w.after(next.Sub(l.w.time()), func() {
		l.wakes = time.Time{}
		l.admit()
	})
}

// take lets a pod have a request.
func (s *server) take(r *request) {
	if s.FailShare > 0 && s.w.random.Float64() < s.FailShare {
		s.w.after(s.FailTook, func() { s.answer(r, cmp.Or(s.FailStatus, 503)) })
		return
	}
	if s.Most > 0 && s.running+len(s.queue) >= s.Most {
		s.w.after(s.FailTook, func() { s.answer(r, 429) })
		return
	}
	s.queue = append(s.queue, r)
	s.work()
}

// work begins as many requests as there are workers.
func (s *server) work() {
	for s.running < s.Workers && len(s.queue) > 0 {
		r := s.queue[0]
		s.queue = s.queue[1:]
		s.running++
		took := time.Duration(float64(r.cost) / s.Speed)
		if s.done+s.running <= s.Cold {
			took = time.Duration(float64(took) * s.ColdFor)
		}
		s.w.after(took, func() {
			s.running--
			s.done++
			s.busy += took
			s.answer(r, 200)
			s.work()
		})
	}
}

// answer ends a request.
func (s *server) answer(r *request, status int) {
	r.target.Answered(balance.ByStatus(status), s.w.now-r.sent, r.level, s.w.time())
	r.target.Released()
	s.w.under--
	s.w.result.note(r, status, s)
	r.by.admit()
}

// gauge has every pod say how much it has to do.
func (w *world) gauge() {
	for i, s := range w.servers {
		if !s.joined {
			continue
		}
		g := balance.Gauges{Running: float64(s.running), Waiting: float64(len(s.queue))}
		w.after(w.Lag, func() {
			g.At = w.time()
			for _, l := range w.balancers {
				l.pods[i].SetGauges(g)
			}
		})
	}
	if w.left > 0 {
		w.after(w.Gauges, w.gauge)
	}
}
