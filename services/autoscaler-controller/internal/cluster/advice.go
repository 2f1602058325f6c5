package cluster

import (
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/advice"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/claims"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
)

// Sidecar is what is said of the sidecar for the pods of a Deployment; false: nobody asks for it.
func (w *Watcher) Sidecar(namespace, deployment string) (injection.Sidecar, bool) {
	c := w.apps.claimOf(fleet.Key{Namespace: namespace, Deployment: deployment})
	if c.by == nil || c.by.Sidecar == nil {
		return injection.Sidecar{}, false
	}
	return *c.by.Sidecar, true
}

// Advise says what of a CustomAutoscaler that is about to be written does not fit what there is.
func (w *Watcher) Advise(a fleet.Autoscaler, created time.Time, spec contract.Spec) []string {
	o := advice.Object{Concurrency: spec.Concurrency}
	for _, r := range w.refusals(a, created, spec) {
		o.Refused = append(o.Refused, r.Text)
	}
	for _, t := range spec.Targets {
		one := advice.Target{Deployment: t.Name, Service: t.Service, Port: advice.Port(t.Port)}
		if d := w.deployments.get(objectName{a.Namespace, t.Name}); d != nil {
			one.Pods = d.template.advised()
		}
		if s := w.services.get(objectName{a.Namespace, t.Service}); s != nil {
			one.Leads = s.advised()
		}
		o.Targets = append(o.Targets, one)
	}
	return advice.Warnings(o)
}

// refusals are what it would be refused: of one that is known already, what it asks for besides is a new claim.
func (w *Watcher) refusals(a fleet.Autoscaler, created time.Time, spec contract.Spec) []claims.Refusal {
	w.turn.Lock()
	defer w.turn.Unlock()
	one := []claims.Seen{{Object: claimedBy(a, created, spec)}}
	if known, there := w.autoscalers.get(a); there && known.said.created.Equal(created) {
		one[0].Known, one[0].Edited = known.said.claimed().Targets, true
	}
	w.index.Date(one, time.Now())
	return w.index.Would(one[0].Object)
}

// advised is the Service as advice has it.
func (s *service) advised() *advice.Leads {
	out := &advice.Leads{Selector: labelsOf(s.selector)}
	for _, p := range s.ports {
		one := advice.ServicePort{Named: advice.Named{Number: p.Port, Name: p.Name}, Target: advice.Port{Number: p.Port}}
		switch {
		case p.TargetPort.Type == intstr.String:
			one.Target = advice.Port{Name: p.TargetPort.StrVal}
		case p.TargetPort.IntVal > 0:
			one.Target = advice.Port{Number: p.TargetPort.IntVal}
		}
		out.Ports = append(out.Ports, one)
	}
	return out
}
