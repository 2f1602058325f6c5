// Package scaling decides how many pods an application should have, and says why. It is pure: it
// takes all that is known as arguments, `now` among them, and returns a count with every reason
// that shaped it. It neither reads nor writes anything, so that the same function serves the
// controller, an observer and a simulator.
//
// A decision has three steps, each a list of functions; a further rule is one more function:
//
//	wishes   each proposes a count (Start, Idle, demand, thresholds, rules, else Keep); the largest wins.
//	         Idle stands above demand, thresholds and rules: what nobody uses may sleep, whatever it costs
//	clamps   minReplicas and maxReplicas bind the wish, maxStartingPods and the user's pace its speed
//	holds    each may forbid a way down: pods are only taken away on whole and fresh data, and
//	         when nobody needs them. By thresholds and rules it goes by their stride, and waits
//	         until the last pods are alive, or gone
//
// Before them come the user's schedules and mode (Spec.At). What must hold for a while is remembered by
// the caller: Decision.Since is the next State.Since, and Decision.History the next State.History.
//
// What is not here: learning what is known (fleet), which pods go, and when they are empty
// (lifecycle), and doing what was decided (control).
package scaling

import "time"

// Spec is what the user asked for.
type Spec struct {
	MinReplicas           int32         // 0 lets the application sleep
	MaxReplicas           int32         // at least 1
	IdleTime              time.Duration // without traffic before it sleeps
	WakeUpTimeout         time.Duration // how long a start may take before it counts as stuck
	CPUThreshold          int32         // millicores per pod; 0 is none
	MemoryThreshold       int32         // MiB per pod; 0 is none
	ResponseTimeThreshold int32         // ms; 0 is none
	UpWindow              time.Duration // how long a threshold must be passed
	DownWindow            time.Duration // how long all thresholds must be met by far
	Rules                 []Rule        // beside the thresholds

	ContainerConcurrency int32   // requests that a pod works on at a time; 0 is no limit
	TargetConcurrency    float64 // requests that a pod is meant to have; 0 is a share of ContainerConcurrency, or none
	Learn                bool    // where neither is given, what was learned stands for it
	TargetRequestRate    float64 // requests a second that a pod is meant to answer; 0 is none
	MaxStarting          int32   // pods that may be starting at a time, by demand; 0 is no limit
	Behavior             Behavior
	Mode                 Mode
	PausedReplicas       *int32 // with Paused; nil: as they are
	Schedules            []Schedule
	Together             bool // all targets wake and sleep as one

	DrainTimeout *time.Duration // how long a pod that is to go may go on with what it has; nil: by what it has
}

// State is what is known of one application at the moment of the decision.
type State struct {
	Found    bool  // the Deployment exists
	Paused   bool  // its rollout is paused: somebody works on it
	Replicas int32 // pods asked for now
	Ready    int32 // pods that are ready now
	Pods     int32 // pods that exist now, also those that are going

	Owner   string  // who else scales the Deployment, in words; "" is nobody
	Contest Contest // who sets the count back again and again
	Missing string  // what the picture still lacks ("" is whole): nothing goes down before it is whole

	Call    *Call   // a start call, if one is being answered
	Rest    Rest    // somebody wants it to sleep now
	Traffic Traffic // what the load balancers report
	Demand  Demand  // what follows from it, and from what the sidecars say
	Start   Start   // the start under way, if any

	RetryAt  time.Time // after a way to zero that failed, when the next may begin
	Marked   int32     // pods that carry the mark of a way down, of a leader before perhaps
	Draining int32     // of Ready, those that were chosen to go and get nothing new: they are no capacity

	Means []Mean               // what the pods use; a metric that is not listed is not known
	Until time.Time            // when the first of the values in them that rules look at is too old to count; zero: never
	Since map[string]time.Time // the last decision's Since; nil: nothing is remembered

	History  History   // the last decision's
	Same     time.Time // until when all that was heard since the last decision left its Class as it was; zero: nothing was heard
	Together Group     // the other targets, where all wake and sleep as one
}

// Call is a load balancer's request to start the application, or a person's.
type Call struct {
	Balancer string
	Waiting  int32
	By       string // the person; "" is a load balancer
}

// Rest is a person's wish that the application sleeps, which traffic makes void. The zero value is none.
type Rest struct {
	By string
	At time.Time
}

// rests tells whether somebody wants it to sleep, and no traffic came since.
func (s State) rests() bool {
	return !s.Rest.At.IsZero() && !s.Traffic.IdleSince.IsZero() && !s.Rest.At.Before(s.Traffic.IdleSince)
}

// Traffic is the sum over the load balancers whose report is fresh.
type Traffic struct {
	Waiting      int32
	InFlight     int32
	Streaming    int32
	WaitingSince time.Time     // since when requests have been reported to wait, without a break
	Age          time.Duration // of the oldest fresh report
	Live         []string      // load balancers with a fresh report
	Stale        []Stale       // load balancers that fell silent without leaving
	IdleSince    time.Time     // the last sign of traffic, or since when traffic would have been seen; zero: unknown
	QuietSince   time.Time     // the same, but for what the sidecars say
	NextAge      time.Time     // when the next stale report is forgotten; zero: there is none
	Unheard      int           // how many load balancers are listened to at most, if others report beside them; 0: none does
}

// Stale is a load balancer that fell silent.
type Stale struct {
	Name    string
	Age     time.Duration
	Awaited bool // it reported to the controller that led before, and to this one not yet
	Alive   bool // its pod runs and is ready: it is not forgotten
}

// Start is a start under way: pods were asked for and none is ready yet.
type Start struct {
	Since    time.Time     // when pods were last added; zero: unknown
	Expected time.Duration // how long a start took lately; 0: not known
}

// Effect is what a reason did to the count.
type Effect string

// The effects.
const (
	Wish  Effect = "Wish"
	Clamp Effect = "Clamp"
	Hold  Effect = "Hold"
	Note  Effect = "Note"
)

// Reason is one rule's say. Rule names it for people: nothing is told by how it is spelt.
type Reason struct {
	Rule     string
	Effect   Effect
	Replicas int32 // the count after this rule
	Message  string
	Inputs   []Input

	Trigger Trigger // of a wish: what asked, should it win
	Stride  int32   // of a wish: how many pods it moves at a time, when the last are alive, or gone; 0: any number, at once
	Brief   string  // the message without numbers that grow with time, for the summary; "": as the message
	News    bool    // of a note: it is said in the summary too
}

// brief is what the summary says of it: one that repeats is recorded once.
func (r Reason) brief() string {
	if r.Brief != "" {
		return r.Brief
	}
	return r.Message
}

// Input is a value that a rule looked at.
type Input struct {
	Name  string
	Value float64
	Unit  string
	Age   time.Duration
}

// Trigger is what asked for the decision.
type Trigger string

// The triggers.
const (
	StartCall Trigger = "StartCall"
	Idle      Trigger = "Idle"
	ByMetric  Trigger = "Threshold"
	ByRule    Trigger = "Rule"
	ByDemand  Trigger = "Demand"
	ByMode    Trigger = "Mode"
	Bounds    Trigger = "Bounds"
	Reconcile Trigger = "Reconcile"
	ByDrain   Trigger = "Drain" // pods that were chosen have gone, or others in their place
)

// Drain is a step of the way down, on which lifecycle leads the pods that go. Decide knows none.
type Drain string

// The steps.
const (
	DrainNone   Drain = ""       // nothing is under way
	DrainBegin  Drain = "Begin"  // the load balancers are to send the pods nothing new
	DrainWait   Drain = "Wait"   // they have been told; not all is ended
	DrainDone   Drain = "Done"   // pods go now
	DrainCancel Drain = "Cancel" // it is called off: they may send again
)

// Decision is a count and its reasons.
type Decision struct {
	From, To int32
	Wished   int32 // before clamps and holds
	Aim      int32 // after the clamps, before the holds
	Trigger  Trigger
	Stride   int32 // of the wish that won; see Reason
	Drain    Drain
	Summary  string // one sentence, without any number that grows with time
	Reasons  []Reason
	Due      time.Time // when to decide again though nothing was heard; zero: only on news

	Since   map[string]time.Time // since when conditions have held without a break
	History History
}

// MaxReasons bounds a decision's reasons.
const MaxReasons = 32

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
