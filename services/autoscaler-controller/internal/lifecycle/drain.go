package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// drain is a way down that is under way.
type drain struct {
	all     bool // to zero: all pods at once
	since   time.Time
	victims []victim  // else those that were chosen, in the order in which Kubernetes would take them
	chosen  time.Time // when the choice was last another one
}

// victim is a pod that was chosen to go.
type victim struct {
	fleet.PodLoad
	since   time.Time
	why     string
	streams int32 // the most that were on it since
}

// pods are the chosen ones, ordered by name.
func (d *drain) pods() []string {
	list := make([]string, 0, len(d.victims))
	for _, v := range d.victims {
		list = append(list, v.Name)
	}
	slices.Sort(list)
	return list
}

// paused tells whether the user wants the application down, whoever is there. Such a way to zero is not
// called off: load balancers refuse what comes, and what is on the pods has its time.
func (p *Plan) paused() bool { return p.Decision.Trigger == scaling.ByMode }

// patience is how long a way to zero may take.
func (p *Plan) patience() time.Duration {
	spec := p.Snapshot.Spec
	switch {
	case !p.paused():
		return AsleepWithin
	case spec.DrainTimeout == nil && p.Snapshot.Scaling.Traffic.Streaming == 0:
		return PlainTimeout
	default:
		return longest(spec)
	}
}

// asleep is the way to zero.
func (m *Memory) asleep(p *Plan) {
	d := &p.Decision
	under := m.drain != nil && m.drain.all
	switch {
	case d.To == d.From && under: // held: it is awake again until nothing stands in the way
		m.stay(p)
	case d.To == d.From:
		m.freeze(p)
	case !under:
		m.drain = &drain{all: true, since: p.at}
		p.again(p.at.Add(p.patience()))
		m.hold(p, scaling.DrainBegin, scaling.Reason{Message: "the load balancers are asked to stop sending first"})
	case len(p.Snapshot.Pending) == 0:
		d.Drain = scaling.DrainDone
	case p.at.Sub(m.drain.since) >= p.patience() && p.paused():
		d.Drain = scaling.DrainDone
		d.Explain(scaling.Reason{
			Rule: "Drain", Effect: scaling.Note, Message: fmt.Sprintf("the time of %s is over for what is still on it", scaling.Seconds(p.patience())), News: true,
		})
	case p.at.Sub(m.drain.since) >= AsleepWithin && !p.paused():
		m.drain, m.retryAt = nil, p.at.Add(retryAsleep)
		p.again(m.retryAt)
		m.hold(p, scaling.DrainCancel, scaling.Reason{
			Message: fmt.Sprintf("going to sleep is called off: within %s no answer from %s", scaling.Seconds(AsleepWithin), scaling.List(p.Snapshot.Pending)),
		})
	default:
		p.again(m.drain.since.Add(p.patience()))
		m.hold(p, scaling.DrainWait, scaling.Reason{
			Message: "the load balancers have not all stopped sending",
			Inputs:  []scaling.Input{{Name: "pendingBalancers", Value: float64(len(p.Snapshot.Pending)), Age: p.at.Sub(m.drain.since)}},
		})
	}
}

// hold keeps the count, and says why.
func (m *Memory) hold(p *Plan, step scaling.Drain, r scaling.Reason) {
	d := &p.Decision
	d.To, d.Drain = d.From, step
	r.Rule, r.Effect, r.Replicas = "Drain", scaling.Hold, d.From
	d.Explain(r)
}

// freeze goes on telling the load balancers what they were told while something forbids the way
// down: what is ending may end. What is on the pods may not be known meanwhile, so each has the
// longest time; when that of all is over, it is called off.
func (m *Memory) freeze(p *Plan) {
	if m.drain == nil {
		m.adopt(p)
	}
	if m.drain == nil {
		return
	}
	m.refresh(p.Snapshot)
	if !slices.ContainsFunc(m.drain.victims, func(v victim) bool { return p.at.Before(v.since.Add(longest(p.Snapshot.Spec))) }) {
		m.stay(p)
		return
	}
	p.Decision.Drain = scaling.DrainWait
	m.mark(p, m.drain.victims)
	m.rest(p)
}

// adopt takes up what another leader has begun, as far as the pods say.
func (m *Memory) adopt(p *Plan) {
	var taken []victim
	for _, l := range p.Snapshot.Loads {
		if l.Mark.Since.IsZero() || m.leaves(l.Name) {
			continue
		}
		since := l.Mark.Since
		if since.After(p.at) {
			since = p.at
		}
		taken = append(taken, victim{PodLoad: l, since: since, why: "taken up from before"})
	}
	if n := int(p.Decision.From - p.Decision.Aim); len(taken) > 0 && len(taken) <= n {
		m.drain = &drain{since: p.at, victims: taken, chosen: p.at}
	}
}

// some is the way down to at least one pod.
func (m *Memory) some(p *Plan) {
	if p.Decision.To == p.Decision.From {
		m.freeze(p)
		return
	}
	candidates := m.candidates(p.Snapshot)
	n := len(candidates) - int(p.Decision.Aim)
	if n <= 0 { // the pods that are too many do not exist yet
		m.drain = nil
		m.mark(p, nil)
		return
	}
	if m.rolling(candidates, p.at) {
		p.again(m.rollout.Add(rolloutGrace))
		m.hold(p, scaling.DrainNone, scaling.Reason{Message: "a rollout is under way: Kubernetes chooses whom it takes until it is over"})
		p.Decision.Reasons[len(p.Decision.Reasons)-1].Rule = "Rollout"
		m.drain = nil
		m.mark(p, nil)
		return
	}
	m.pickVictims(p, candidates, n)
	going := m.ready(p)
	m.mark(p, m.drain.victims)
	if len(going) == 0 {
		m.wait(p)
		return
	}
	m.leave(p, going)
}

// rolling tells whether pods of two templates are there, and it is worth waiting.
func (m *Memory) rolling(candidates []fleet.PodLoad, now time.Time) bool {
	two := slices.ContainsFunc(candidates, func(l fleet.PodLoad) bool { return l.Revision != candidates[0].Revision })
	if !two {
		m.rollout = time.Time{}
		return false
	}
	if m.rollout.IsZero() {
		m.rollout = now
	}
	return now.Before(m.rollout.Add(rolloutGrace))
}

// wait says what is waited for.
func (m *Memory) wait(p *Plan) {
	step := scaling.DrainWait
	if m.drain.since.Equal(p.at) {
		step = scaling.DrainBegin
	}
	m.rest(p)
	said := make([]string, 0, len(m.drain.victims))
	for _, v := range m.drain.victims {
		said = append(said, v.Name+" goes ("+v.why+") when "+v.waitsFor())
	}
	m.hold(p, step, scaling.Reason{Message: joined(said), Brief: m.choice(), Inputs: m.inputs(p.at)})
}

// rest asks for a look when the time of the next pod is over.
func (m *Memory) rest(p *Plan) {
	for _, v := range m.drain.victims {
		if end := v.deadline(p.Snapshot.Spec); end.After(p.at) {
			p.again(end)
		}
	}
}

// leave scales by the pods that are to go now; the rest is drained further.
func (m *Memory) leave(p *Plan, going []victim) {
	d := &p.Decision
	left := len(m.drain.victims) - len(going)
	to := d.Aim + int32(left) //nolint:gosec // G115: pods of one Deployment
	if to >= d.From {         // there are more pods than are asked for: Kubernetes takes those by itself
		m.wait(p)
		return
	}
	d.To, d.Drain = to, scaling.DrainDone
	said := make([]string, 0, len(going))
	for _, v := range going {
		p.going = append(p.going, v.Name)
		said = append(said, v.Name+" goes ("+v.why+"), "+v.waited(p.at, p.Snapshot.Spec))
	}
	r := scaling.Reason{Rule: "Drain", Effect: scaling.Note, Replicas: to, Message: joined(said), Inputs: m.inputs(p.at)}
	if left > 0 {
		r.Message += fmt.Sprintf("; %d more still drain", left)
		m.rest(p)
	}
	m.lower(p)
	d.Explain(r)
}

func (m *Memory) inputs(now time.Time) []scaling.Input {
	var streams, inFlight, balancers float64
	for _, v := range m.drain.victims {
		streams += float64(v.Streaming)
		inFlight += float64(v.InFlight)
		balancers = max(balancers, float64(len(v.Pending)))
	}
	return []scaling.Input{
		{Name: "drainingPods", Value: float64(len(m.drain.victims)), Unit: "pods", Age: now.Sub(m.drain.since)},
		{Name: "inFlight", Value: inFlight, Unit: "requests"}, {Name: "streaming", Value: streams, Unit: "requests"},
		{Name: "pendingBalancers", Value: balancers},
	}
}

// choice is who was chosen.
func (m *Memory) choice() string {
	if len(m.drain.victims) == 1 {
		return m.drain.victims[0].Name + " gets nothing new, and goes when it is empty"
	}
	return names(m.drain.pods()) + " get nothing new, and go when they are empty"
}

func joined(said []string) string {
	const most = 8
	if len(said) > most {
		said = append(slices.Clone(said[:most]), fmt.Sprintf("%d more", len(said)-most))
	}
	return strings.Join(said, "; ")
}
