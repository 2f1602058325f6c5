package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// These are the nouns in which decisions are applied and told. They stand here, and not beside the
// loop, so that the adapters that apply and tell need not know the loop.

var (
	// ErrMoved says that somebody else scaled the Deployment meanwhile. Nothing was changed.
	ErrMoved = errors.New("somebody else scaled the Deployment meanwhile")
	// ErrGone says that the CustomAutoscaler does not exist any more.
	ErrGone = errors.New("the CustomAutoscaler does not exist any more")
)

// Autoscaler names a CustomAutoscaler.
type Autoscaler struct{ Namespace, Name string }

// Scale is how a Deployment stands.
type Scale struct {
	Replicas int32
	Version  uint64 // of the Deployment; 0 where it cannot be told
}

// Marking is a mark that is to be written on a pod, or taken off it.
type Marking struct {
	Pod  string
	Mark Mark  // the zero value's Since: take it off, and give back the cost of before
	Cost int32 // to write; of a mark that is taken off none
}

// Record is a decision, and what became of it.
type Record struct {
	scaling.Decision
	Key
	ID         string
	Time       time.Time
	Autoscaler string
	Applied    bool
	Error      string // why it could not be applied; it is tried again
	TraceID    string
}

// Result is what became of a decision.
type Result string

// The results, as in the contract.
const (
	ResultApplied   Result = "applied"   // the Deployment was scaled
	ResultHeld      Result = "held"      // another count was wished for, and a clamp or a hold kept it
	ResultFailed    Result = "failed"    // it could not be applied
	ResultUnchanged Result = "unchanged" // there was nothing to do
)

// Result is what became of the decision.
func (r Record) Result() Result {
	switch {
	case r.Error != "":
		return ResultFailed
	case r.Applied:
		return ResultApplied
	case r.Obstructed() || r.Wished != r.From:
		return ResultHeld
	default:
		return ResultUnchanged
	}
}

// Obstructed tells whether a hold spoke.
func (r Record) Obstructed() bool {
	return slices.ContainsFunc(r.Reasons, func(reason scaling.Reason) bool { return reason.Effect == scaling.Hold })
}

// Filter chooses decisions; what is empty matches everything.
type Filter struct {
	Key
	Trigger scaling.Trigger
	Result  Result
	Since   time.Time
}

// Matches tells whether a decision is one of those.
func (f Filter) Matches(r Record) bool {
	return (f.Namespace == "" || r.Namespace == f.Namespace) && (f.Deployment == "" || r.Deployment == f.Deployment) &&
		(f.Trigger == "" || r.Trigger == f.Trigger) && (f.Result == "" || r.Result() == f.Result) && !r.Time.Before(f.Since)
}

// Started is the answer to a start call.
type Started struct {
	State         State
	Replicas      int32
	Scaled        bool // this call changed the Deployment
	DecisionID    string
	ExpectedStart time.Duration // 0: not known
	Elapsed       time.Duration // since the start under way began; 0: none is
	Blocked       Blocked       // why it cannot succeed; the zero value: it can
	Message       string
}

// Target is how one Deployment of a CustomAutoscaler stands.
type Target struct {
	Name         string
	State        State
	Replicas     int32
	Ready        int32
	Slept        int32 // pods asked for before it went to sleep; 0 is not known
	LastActivity time.Time
	Last         *Record // nil before the first decision
	Conditions   []Condition
	Learned      Learned
}

// StatusChange is what is to be written on a CustomAutoscaler.
type StatusChange struct {
	Urgent bool                            // its state or a condition is another one: people wait for that
	Write  func(ctx context.Context) error // nil: what is written there says it all
}

// ConflictReason is why an application is not scaled that somebody else scales too.
const ConflictReason = "Conflict"

// ContestedReason is why an application is not scaled whose count somebody sets back again and again.
const ContestedReason = "Contested"

// Condition is one thing that is so or not, as in Kubernetes.
type Condition struct {
	Type    string
	OK      bool
	Reason  string
	Message string
	Since   time.Time
}

// Event is something that happened once.
type Event struct {
	Warning bool
	Minor   bool   // where not all can be written, the others are
	Reason  string // in CamelCase; "": there are only its News
	Message string
	News    News // what is told to people who are not looking; the zero value: nothing
}

// News is what an event means to people who are not looking.
type News struct {
	Kind       Happening
	Deployment string // "": the whole CustomAutoscaler
	Message    string
	Took       time.Duration // 0: it is not told
	From, To   int32         // pods, of Scaled
}

// Happening is a kind of thing that happens to an application, as in the contract.
type Happening string

// What happens.
const (
	Woken        Happening = "Woken"        // from zero, and the pods are alive
	Slept        Happening = "Slept"        // no pod runs any more
	Scaled       Happening = "Scaled"       // from one number of pods to another, neither of them zero
	WakeUpFailed Happening = "WakeUpFailed" // those who waited for a start were refused
	StartSlow    Happening = "StartSlow"    // a start from zero takes too long
	ScaleFailed  Happening = "ScaleFailed"  // the number of pods could not be changed
	Contested    Happening = "Contested"    // somebody else scales it too
	Refused      Happening = "Refused"      // it is not accepted, or not with all its targets
)

// Happenings are all of them.
var Happenings = []Happening{Woken, Slept, Scaled, WakeUpFailed, StartSlow, ScaleFailed, Contested, Refused}
