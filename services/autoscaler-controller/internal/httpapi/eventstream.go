package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/news"
)

// events writes server-sent events: several at a time, of which the last one carries the position behind all, so
// that who is cut off in their midst gets all of them again.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buffer  bytes.Buffer
	until   time.Time // whoever reads has to have read by then
}

// deadlineEvery is how often it is said anew by when whoever reads has to have read.
const deadlineEvery = 5 * time.Second

// bufferingHeader is read by proxies that keep answers back.
const bufferingHeader = "X-Accel-Buffering"

func newEvents(w http.ResponseWriter) *events {
	h := w.Header()
	h.Set("Content-Type", eventsType)
	h.Set("Cache-Control", "no-store")
	h.Set(bufferingHeader, "no")
	return &events{w: w, control: http.NewResponseController(w)}
}

// begin sends the head, how soon to come back, and the position from which the stream goes on.
func (e *events) begin(at news.Position) error {
	e.buffer.WriteString("retry: 1000\n")
	return e.comment(at)
}

// comment is sent when nothing else was for long.
func (e *events) comment(at news.Position) error {
	e.buffer.WriteString(": here\nid: " + at.String() + "\n\n")
	return e.flush()
}

// add adds an event; without data there is none.
func (e *events) add(name string, data []byte) {
	if data == nil {
		return
	}
	e.buffer.WriteString("event: " + name + "\ndata: ")
	e.buffer.Write(data)
	e.buffer.WriteString("\n\n")
}

func (e *events) encode(name string, data any) { e.add(name, encoded(data)) }

// encoded is something of the contract in one line of JSON.
func encoded(data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		return nil // never: it is made here
	}
	return text
}

// some tells whether there is anything to send.
func (e *events) some() bool { return e.buffer.Len() > 0 }

// send sends what was added, with the position behind it.
func (e *events) send(behind news.Position) error {
	if !e.some() {
		return nil
	}
	e.buffer.Truncate(e.buffer.Len() - 1) // the line that ends the last event
	e.buffer.WriteString("id: " + behind.String() + "\n\n")
	return e.flush()
}

func (e *events) flush() error {
	if now := time.Now(); e.until.Sub(now) < writeTimeout { // seldom: it costs more than to encrypt
		e.until = now.Add(writeTimeout + deadlineEvery)
		_ = e.control.SetWriteDeadline(e.until) // a writer that has none needs none
	}
	_, err := e.w.Write(e.buffer.Bytes())
	e.buffer.Reset()
	if err != nil {
		return err //nolint:wrapcheck // of one who has gone
	}
	return e.control.Flush() //nolint:wrapcheck // of one who has gone
}

// end leaves the connection to the next request.
func (e *events) end() { _ = e.control.SetWriteDeadline(time.Time{}) }

func applicationChange(v fleet.View) autoscaler.ApplicationChange {
	out := autoscaler.ApplicationChange{
		Namespace: v.Namespace, Deployment: v.Key.Deployment, Autoscaler: v.Autoscaler,
		State: autoscaler.ApplicationState(v.State), Mode: autoscaler.ScalingMode(modeOf(v)),
		Replicas: v.Observation.Deployment.Replicas, ReadyReplicas: v.Ready, MinReplicas: v.Spec.MinReplicas, MaxReplicas: v.Spec.MaxReplicas,
		ExpectedStartSeconds: seconds(v.ExpectedStart),
		InFlight:             v.Traffic.InFlight, Streaming: v.Traffic.Streaming, Waiting: v.Traffic.Waiting,
		Requests: v.Traffic.Requests, Failures: v.Traffic.Failures,
	}
	if reason := blockedReason(v); reason != "" {
		out.Blocked, out.BlockedReason = new(true), &reason
	}
	if len(v.Refused) > 0 {
		out.ClaimRefused = new(true)
	}
	if w := v.WakeUp; w != nil {
		out.WakeUpId, out.WakeUpOutcome = optional(w.ID), new(autoscaler.WakeUpOutcome(w.Outcome))
		for _, p := range w.Phases {
			if p.Name == "FirstByte" {
				out.WakeUpSeconds = seconds(p.At.Sub(w.ArrivedAt))
			}
		}
	}
	return out
}

// blockedReason is why a start cannot succeed or, where it can, why the count of pods is left alone; "" is neither.
func blockedReason(v fleet.View) string {
	switch {
	case v.Blocked.Reason != "":
		return v.Blocked.Reason
	case v.Contest != "":
		return fleet.ContestedReason
	case v.Owner != "":
		return fleet.ConflictReason
	default:
		return ""
	}
}

// metricsMissing is since when not everything is known that thresholds and rules look at; nil: it is.
func metricsMissing(conditions []fleet.Condition) *time.Time {
	for _, c := range conditions {
		if c.Type == "ThresholdsActive" && !c.OK {
			return moment(c.Since)
		}
	}
	return nil
}
