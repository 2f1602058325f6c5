package control

import (
	"context"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/lifecycle"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// alarm tells of starts that have ended, or do not as they should, and counts what people should look at.
func (l *Loop) alarm(ctx context.Context, m *memory, p lifecycle.Plan) {
	k := p.Snapshot.Key
	m.mu.Lock()
	m.count(&m.slow, p.Slow, &l.slow)
	m.count(&m.contested, p.Snapshot.Scaling.Contest.Who != "", &l.contested)
	m.mu.Unlock()
	for _, n := range p.News {
		e := fleet.Event{News: n} // that it woke stands in the event of the scaling
		if n.Kind != fleet.Woken {
			e.Warning, e.Reason, e.Message = true, string(n.Kind), n.Deployment+": "+n.Message
			l.Log.WarnContext(ctx, "start", "namespace", k.Namespace, "deployment", k.Deployment, "kind", string(n.Kind), "message", n.Message)
		}
		l.Recorder.Event(fleet.Autoscaler{Namespace: k.Namespace, Name: p.Snapshot.Autoscaler}, e)
	}
}

// scaledNews is what a scaling means to people who are not looking: another number of pods. From zero and to zero they are
// told when it is done, as Woken and Slept.
func scaledNews(r fleet.Record) fleet.News {
	if r.From <= 0 || r.To <= 0 || r.From == r.To {
		return fleet.News{}
	}
	return fleet.News{Kind: fleet.Scaled, Deployment: r.Deployment, Message: r.Summary, From: r.From, To: r.To}
}

// settledNews is what the end of a scaling means to people who are not looking: an application sleeps.
func settledNews(k fleet.Key, s *lifecycle.Settled) fleet.News {
	if s.To > 0 || s.Mistaken {
		return fleet.News{}
	}
	return fleet.News{
		Kind: fleet.Slept, Deployment: k.Deployment, Took: s.Took,
		Message: scaling.Count(s.From, "pod has", "pods have") + " gone, after " + scaling.Seconds(s.Took),
	}
}
