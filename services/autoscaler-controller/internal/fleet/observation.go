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
	Deployment Deployment
	Pods       []Pod  // ordered by name
	Owner      string // who else scales the Deployment, in words; "" is nobody
	Problem    string // what keeps the route from being resolved as written; "" is nothing
}

// Address is how clients name the application, and how it is served.
type Address struct {
	Prefix      string
	Hosts       []string
	Algorithm   string // "" is as the load balancers' settings say
	Concurrency int32
	Service     string // host:port to fall back to; "" is none
}

// Deployment is what the Deployment says.
type Deployment struct {
	Found    bool
	UID      string
	Version  uint64 // grows with every write; 0 where it cannot be told
	Created  time.Time
	Paused   bool
	Replicas int32  // asked for
	Refusal  string // why pods cannot be made, in Kubernetes' words: a quota, a policy; "" when they can
}

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
	Address       string // IP:port of the application; "" while it has none
	Scheduled     bool
	Started       bool // its containers run
	Ready         bool // its own condition says so
	EndpointReady bool // an EndpointSlice says so
	WasReady      bool // it was ready before, as far as the cluster tells
	Terminating   bool
	Failed        bool
	Restarts      int32
	Message       string
	CreatedAt     time.Time
	ReadyAt       time.Time
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
}

// Header is one request header of a probe.
type Header struct{ Name, Value string }

func same(a, b Observation) bool {
	a.Deployment.Version, b.Deployment.Version = 0, 0
	return reflect.DeepEqual(a, b)
}
