// Package scalinglog writes what is worth keeping of the scaling: the controller's decisions with
// their reasons, the changes that people made through it, and the wake-ups that were seen from here, as entries of the
// log's second stream. It
// hands them to whoever keeps the log; how they get there, and how decisions get here, is others'
// business.
//
// Every load balancer writes every decision and every change, so that none depends on one of them. The id of an entry
// is made of what it tells, so that the index keeps it once. encoding/json does the writing: there
// are some entries a minute, not thousands a second as in accesslog.
//
// It is pure: no files, no network, no clock.
package scalinglog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
)

// Dataset names these documents in their data stream.
const Dataset = "nemesis.scaling"

const ecsVersion = "9.0.0"

// Decision is one of the controller's, with the reasons that shaped it.
type Decision struct {
	ID          string
	Time        time.Time
	Application accesslog.Application
	From, To    int32
	Trigger     string
	Applied     bool
	Result      string // "" when the controller does not say
	Error       string
	TraceID     string
	Summary     string
	Reasons     []Reason
}

// Reason is what one rule did to the count.
type Reason struct {
	Rule     string  `json:"rule"`
	Effect   string  `json:"effect"`
	Replicas int32   `json:"replicas"`
	Message  string  `json:"message"`
	Inputs   []Input `json:"inputs,omitempty"`
}

// Input is a value that a rule looked at.
type Input struct {
	Name       string   `json:"name"`
	Value      float64  `json:"value"`
	Unit       string   `json:"unit,omitempty"`
	AgeSeconds *float64 `json:"age_seconds,omitempty"`
}

// WakeUp is one that has ended, as it was seen from here. A time that is zero did not come.
type WakeUp struct {
	ID              string // the trace id of the first request
	Application     accesslog.Application
	ArrivedAt       time.Time
	StartCalledAt   time.Time
	StartAnsweredAt time.Time
	FirstProbeAt    time.Time
	FirstByteAt     time.Time
	Pod             string // that answered first
	Waited          int    // requests that waited for it
	Answered        bool   // else it failed
}

// Change is one that somebody made, or was refused, through the controller.
type Change struct {
	ID        string
	Time      time.Time
	Who       string
	Operation string
	Namespace string // "": it belongs to none
	Resource  string
	Status    int
	Made      bool
	Reason    string // why it was refused
	// Before and After are what was changed; nil: it is not known, or there was nothing.
	Before, After map[string]any
}

// Origin says who writes, and where to.
type Origin struct {
	Balancer  string
	Version   string
	Namespace string // of the data stream
}

type object map[string]any

// Decision is the entry of a decision.
func (o Origin) Decision(d Decision) ([]byte, error) {
	outcome, kind := "success", "info"
	switch {
	case d.Error != "":
		outcome = "failure"
	case d.Applied:
		kind = "change"
	}
	id := name("decision." + d.ID)
	decision := object{
		"id": d.ID, "trigger": d.Trigger, "from": d.From, "to": d.To, "applied": d.Applied, "summary": d.Summary, "rules": rules(d.Reasons), "reasons": d.Reasons,
		"result": d.Result,
	}
	return o.entry(id, object{
		"@timestamp": d.Time.UTC(), "message": d.Application.String() + ": " + d.Summary,
		// The same whoever writes it: it is the controller's.
		"host": object{"name": "autoscaler-controller"}, "service": object{"name": "autoscaler-controller"},
		"event": object{
			"kind": "event", "category": []string{"configuration"}, "type": []string{kind}, "action": "decision", "outcome": outcome, "dataset": Dataset, "id": id,
			"reason": d.Summary,
		},
		"kubernetes": where(d.Application, ""), "trace": object{"id": d.TraceID}, "error": object{"message": d.Error},
		"nemesis": object{"application": d.Application.String(), "replicas": d.To, "decision": decision},
	})
}

// Change is the entry of a change.
func (o Origin) Change(c Change) ([]byte, error) {
	outcome, kind, result, text := "success", "change", "made", "made"
	if !c.Made {
		outcome, kind, result, text = "failure", "denied", "refused", "refused: "+c.Reason
	}
	id := name("change." + c.ID)
	change := object{"id": c.ID, "operation": c.Operation, "resource": c.Resource, "status": c.Status, "result": result}
	for name, side := range map[string]map[string]any{"before": c.Before, "after": c.After} {
		if side != nil {
			change[name] = side // as it is: prune takes nothing out of it
		}
	}
	return o.entry(id, object{
		"@timestamp": c.Time.UTC(), "message": fmt.Sprintf("%s: %s %s, %s", c.Who, c.Operation, c.Resource, text),
		// The same whoever writes it: it is the controller's.
		"host": object{"name": "autoscaler-controller"}, "service": object{"name": "autoscaler-controller"}, "user": object{"name": c.Who},
		"event": object{
			"kind": "event", "category": []string{"configuration"}, "type": []string{kind}, "action": "change", "outcome": outcome, "dataset": Dataset, "id": id,
			"reason": c.Reason,
		},
		"kubernetes": object{"namespace": c.Namespace}, "nemesis": object{"change": change},
	})
}

// WakeUp is the entry of a wake-up that has ended.
func (o Origin) WakeUp(w WakeUp) ([]byte, error) {
	app, outcome, ended := w.Application, "success", "answered"
	if !w.Answered {
		outcome, ended = "failure", "failed"
	}
	hash := fnv.New32a() // one request may wake several applications, and a client may use its trace again
	_, _ = fmt.Fprintf(hash, "%s %d", app, w.ArrivedAt.UnixNano())
	id := name(fmt.Sprintf("wakeup.%s.%08x", w.ID, hash.Sum32()))
	event := object{
		"kind": "event", "category": []string{"process"}, "type": []string{"start"}, "action": "wakeup", "outcome": outcome, "dataset": Dataset, "id": id, "start": w.ArrivedAt.UTC(),
	}
	wake := object{"id": w.ID, "outcome": ended, "waited": w.Waited}
	for _, phase := range []struct {
		name string
		at   time.Time
	}{
		{"start_called", w.StartCalledAt}, {"start_answered", w.StartAnsweredAt}, {"first_good_probe", w.FirstProbeAt}, {"first_byte", w.FirstByteAt},
	} {
		if !phase.at.IsZero() {
			wake[phase.name] = object{"ms": float64(phase.at.Sub(w.ArrivedAt).Microseconds()) / 1000}
		}
	}
	if !w.FirstByteAt.IsZero() {
		event["end"], event["duration"] = w.FirstByteAt.UTC(), w.FirstByteAt.Sub(w.ArrivedAt).Nanoseconds()
	}
	return o.entry(id, object{
		"@timestamp": w.ArrivedAt.UTC(), "message": fmt.Sprintf("%s: wake-up %s, %d waited", app, ended, w.Waited),
		"host": object{"name": o.Balancer}, "service": object{"name": "load-balancer", "version": o.Version, "node": object{"name": o.Balancer}},
		"event": event, "kubernetes": where(app, w.Pod), "trace": object{"id": w.ID},
		"nemesis": object{"application": app.String(), "wakeup": wake},
	})
}

// entry is the two lines that _bulk takes.
func (o Origin) entry(id string, document object) ([]byte, error) {
	document["ecs"] = object{"version": ecsVersion}
	document["data_stream"] = object{"type": "logs", "dataset": Dataset, "namespace": o.Namespace}
	prune(document)
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"create":{"_index":"logs-%s-%s","_id":"%s"}}`+"\n", Dataset, o.Namespace, id)
	err := json.NewEncoder(&b).Encode(document)
	return b.Bytes(), err
}

// prune takes out what is not known: it is absent, never "".
func prune(o object) {
	for key, value := range o {
		switch v := value.(type) {
		case string:
			if v == "" {
				delete(o, key)
			}
		case object:
			if prune(v); len(v) == 0 {
				delete(o, key)
			}
		}
	}
}

func where(app accesslog.Application, pod string) object {
	return object{"namespace": app.Namespace, "deployment": object{"name": app.Deployment}, "pod": object{"name": pod}}
}

// rules are the names of those that spoke, each once, in the order in which they did.
func rules(reasons []Reason) []string {
	names := make([]string, 0, len(reasons))
	seen := map[string]bool{}
	for _, r := range reasons {
		if !seen[r.Rule] {
			seen[r.Rule] = true
			names = append(names, r.Rule)
		}
	}
	return names
}

const maxID = 200

// name makes an id of what ids are made of.
func name(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, text)
	return text[:min(len(text), maxID)]
}
