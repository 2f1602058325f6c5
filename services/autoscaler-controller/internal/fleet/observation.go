package fleet

import (
	"reflect"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

// Key names an application: a Deployment in a namespace.
type Key struct{ Namespace, Deployment string }

func (k Key) String() string { return k.Namespace + "/" + k.Deployment }

// State is where an application stands.
type State string

// The states, as in the contract.
const (
	Asleep        State = "Asleep"
	Waking        State = "Waking"
	Awake         State = "Awake"
	FallingAsleep State = "FallingAsleep"
	Unknown       State = "Unknown"
)

// Observation is what the cluster says of one application at one moment.
type Observation struct {
	Key
	Autoscaler string    // the name of the CustomAutoscaler, in the same namespace
	Since      time.Time // when the CustomAutoscaler began to name it
	Spec       scaling.Spec
	Address    Address
	Waiting    Waiting
	Uncounted  []UncountedRequest
	Deployment Deployment
	Pods       []Pod          // ordered by name
	Owner      string         // who else scales the Deployment, in words; "" is nobody
	Restore    bool           // whether it is woken when no CustomAutoscaler names it any more
	Slept      int32          // pods asked for before it went to sleep, as the status keeps it; 0 is not known
	Problem    string         // what keeps the route from being resolved as written; "" is nothing
	Learned    Learned        // as it was last written down, by whoever led
	Refused    []RefusedClaim // what its CustomAutoscaler asks for the Deployment besides, and has not
}

// RefusedClaim is what a CustomAutoscaler asks for a Deployment, and has not.
type RefusedClaim struct {
	Of         Autoscaler
	Deployment string
	Prefix     string
	Hosts      []string
	Text       string     // for whoever may see the object: it names nothing of another namespace
	Foreign    bool       // another namespace has it, or a ClaimPolicy gives it to others
	By         Autoscaler // who has it; the zero value: a ClaimPolicy decides
}

// Address is how clients name the application, and how it is served.
type Address struct {
	Prefix         string
	Hosts          []string
	StripPrefix    bool   // pods get the path without the prefix
	RewriteAnswers bool   // and what they answer gets it back
	H2C            bool   // pods speak HTTP/2 in clear text; else HTTP/1.1
	Algorithm      string // "" is as the load balancers' settings say
	Hash           HashOn
	Concurrency    int32
	Service        string // host:port to fall back to; "" is none
	AlsoAt         []Place
}

// Place is a further address of an application: another prefix, and perhaps another port of its pods.
type Place struct {
	Prefix         string
	Hosts          []string
	StripPrefix    bool
	RewriteAnswers bool
	H2C            bool
	Service        string // host:port to fall back to; "" is none
}

// HashOn is what requests that belong together have in common; the zero value says nothing.
type HashOn struct {
	Header, Cookie, Query     string // names
	ClientAddress, MCPSession bool
}

// Waiting is what becomes of requests that wait for a pod.
type Waiting struct {
	StartTimeout time.Duration // while no pod serves; 0 is as long as the load balancers learn
	BusyTimeout  time.Duration // while every pod is full; 0 is their default
	While        string        // what the client gets meanwhile, one of WhileWaiting
}

// WhileWaiting are the answers to a request that waits, as in the contract; the first is the default.
var WhileWaiting = []string{"Hold", "Progress", "Accepted", "Unavailable", "Page"}

// UncountedRequest names requests that are no traffic. Of each list that is given one entry must fit.
type UncountedRequest struct {
	Paths             []string // behind the prefix; one that ends with * is a beginning
	Methods           []string
	UserAgents        []string // how they begin
	StatusWhileAsleep int32    // how the load balancer answers while no pod serves
}

// Deployment is what the Deployment says.
type Deployment struct {
	Found    bool
	UID      string
	Version  uint64 // grows with every write; 0 where it cannot be told
	Created  time.Time
	Paused   bool
	Replicas int32  // asked for
	Behind   bool   // Kubernetes' controller has not taken up its last change yet
	Manager  string // the field manager that owns the count; "" is none, as after a PUT or PATCH of /scale to 0
	Refusal  string // why pods cannot be made, in Kubernetes' words: a quota, a policy; "" when they can

	Grace time.Duration // that its pods have to end when somebody else deletes them

	Labels string // for those who select by them: NAME=VALUE, with a comma between, in the order of the names
}

// Mark is what is written on a pod that was chosen to go, so that Kubernetes takes it and the next
// leader knows of it.
type Mark struct {
	Since  time.Time // when it was chosen; zero: it is not
	Before string    // its pod-deletion-cost before; "" is none
}

// FieldManager is the name under which this product sets the count of pods.
const FieldManager = "nemesis-autoscaler-controller"

// PodState is where a pod stands.
type PodState string

// The states of a pod, as in the contract.
const (
	PodPending     PodState = "Pending"
	PodStarting    PodState = "Starting"
	PodReady       PodState = "Ready"
	PodNotReady    PodState = "NotReady"
	PodTerminating PodState = "Terminating"
	PodFailed      PodState = "Failed"
)

// Pod is what the cluster says of one pod.
type Pod struct {
	Name          string
	Node          string
	Address       string   // IP:port of the application; "" while it has none
	AlsoAt        []string // the same for each of Address.AlsoAt
	Scheduled     bool
	Started       bool // its containers run
	Ready         bool // its own condition says so
	EndpointReady bool // an EndpointSlice says so
	WasReady      bool // it was ready before, as far as the cluster tells
	Terminating   bool
	Failed        bool
	Restarts      int32
	Message       string
	Stuck         string // why it cannot start, in one word of Kubernetes; "" while it may
	CreatedAt     time.Time
	ReadyAt       time.Time
	Revision      string // of the pod template: pods of one ReplicaSet have the same
	Cost          int32  // its pod-deletion-cost: of pods that are ready, Kubernetes takes those with the least first
	Mark          Mark   // as it was chosen to go; the zero value: it was not
	Probes        []Probe
	Probeable     bool
}

// Exists tells whether the pod runs, will run, or is still going. One that has ended without being
// asked to, an evicted one say, stays only to be looked at.
func (p Pod) Exists() bool { return !p.Failed || p.Terminating }

// Probe is one of a pod's own readiness checks, as another can repeat it.
type Probe struct {
	HTTP    bool // else a TCP connect
	Port    int32
	Scheme  string
	Host    string
	Path    string
	Headers []Header
	Timeout time.Duration

	Delay     time.Duration // after its container's start, before which it is not made; 0 is none
	Started   time.Time     // when that was; zero: it has not started
	Successes int32         // that are needed in a row, Period apart; up to 1 is one
	Period    time.Duration
}

// Remaining is for how long it is not made yet.
func (p Probe) Remaining(now time.Time) time.Duration {
	if p.Started.IsZero() {
		return p.Delay
	}
	return max(p.Started.Add(p.Delay).Sub(now), 0)
}

// Header is one request header of a probe.
type Header struct{ Name, Value string }

func same(a, b Observation) bool {
	a.Deployment.Version, b.Deployment.Version = 0, 0
	a.Learned, b.Learned = Learned{}, Learned{}
	return reflect.DeepEqual(a, b)
}
