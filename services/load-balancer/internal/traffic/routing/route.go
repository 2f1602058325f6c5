// Package routing finds the application that a request is for: a table of hosts and path prefixes,
// which is never altered. When the routes change another one is made, that has in common with the one
// before what did not change. It also holds the nouns of a route, in
// the words of the load balancer: the controller's adapter translates into them.
//
// It is pure: no I/O, no clock, no logging, no HTTP types. What is done with the application that
// was found is dispatch's business.
package routing

import (
	"slices"
	"time"
)

// Application names what a request is for: a Deployment in a namespace.
type Application struct {
	Namespace  string
	Deployment string
}

// String is namespace/deployment, for logs.
func (a Application) String() string { return a.Namespace + "/" + a.Deployment }

// State is what the controller says of an application.
type State string

// The states. Only FallingAsleep changes what the load balancer does: it sends nothing new.
const (
	Asleep        State = "Asleep"
	Waking        State = "Waking"
	Awake         State = "Awake"
	FallingAsleep State = "FallingAsleep"
	Unknown       State = "Unknown"
)

// Protocol is what the pods of an application speak.
type Protocol string

// The protocols. The zero value of a Route, "", is HTTP/1.1.
const (
	HTTP1 Protocol = "http/1.1"
	H2C   Protocol = "h2c" // HTTP/2 in clear text, with prior knowledge
)

// WhileWaiting is what a client gets while its request waits for a pod.
type WhileWaiting string

// The answers to a request that waits. The zero value of a Route, "", is Hold.
const (
	Hold         WhileWaiting = "Hold"        // nothing until there is a pod
	ShowProgress WhileWaiting = "Progress"    // comments in an event stream, 103 for others
	Accept       WhileWaiting = "Accepted"    // 202 with a place to ask
	RefuseAtOnce WhileWaiting = "Unavailable" // 503
	ShowPage     WhileWaiting = "Page"        // a page that loads itself again
)

// Blocked is why a start cannot succeed as things stand. The zero value: nothing is known to stop it.
type Blocked struct {
	Reason  string // one word for programs, such as ImagePullBackOff
	Message string // for people
	Since   time.Time
}

// Route is how requests reach one application. The zero value of a field that an older controller
// does not send is not always its default; see the controller's adapter.
type Route struct {
	Application    Application
	Prefix         string   // "/" matches everything
	Hosts          []string // none: every host
	StripPrefix    bool     // a pod sees the path without the prefix
	RewriteAnswers bool     // with StripPrefix, Location, Content-Location and cookie paths get it back
	Protocol       Protocol
	Uncounted      Uncounted // requests that are no traffic, such as health checks
	WhileWaiting   WhileWaiting
	Algorithm      string // the balancing policy; "" is the one of the settings
	HashOn         HashOn // what that policy goes by
	State          State
	AsleepFor      time.Duration // for how long FallingAsleep holds from when it was said on; 0: until something else is said
	Concurrency    int           // requests that one pod works on at a time; 0 is no limit
	WakeUpTimeout  time.Duration // how long a request waits at most for a pod, whatever it waits for
	StartTimeout   time.Duration // while no pod serves; 0 is by what was learned, see StartBudget
	BusyTimeout    time.Duration // while every pod is full; 0 is the default, see BusyBudget
	ExpectedStart  time.Duration // how long a start took lately; 0 is not known
	Blocked        Blocked
	ServiceAddress string // host:port to fall back to while the controller is away; "" is none
	AlsoAt         []Place
	Endpoints      []Endpoint
}

// AwaitsReport tells whether the controller waits for what is seen of the route from now on: pods are
// to go.
func (r Route) AwaitsReport() bool {
	return r.State == FallingAsleep || slices.ContainsFunc(r.Endpoints, func(e Endpoint) bool { return e.Draining })
}

// Endpoint is one pod that has an address.
type Endpoint struct {
	Pod         string
	Address     string        // IP:port
	AlsoAt      []string      // the same for each of the route's AlsoAt; "" is none
	Ready       bool          // Kubernetes calls it ready
	Terminating bool          // it is going away: send nothing new
	Draining    bool          // it was chosen to go: send nothing new while another pod serves
	DrainLease  time.Duration // for how long that holds when nothing else is said
	Probeable   bool          // every readiness check of it can be repeated from here
	Probes      []Probe
	Load        *Load // nil: not known
}

// Load is what a pod says of its model server.
type Load struct {
	Running, Waiting float64   // requests, whoever sent them
	Cache            float64   // share of its KV cache that is used, from 0 to 1
	At               time.Time // by a clock of its own: another time is another measurement
}

// Probe is one readiness check of a pod.
type Probe struct {
	TCP     bool // connect only; else an HTTP GET
	Port    int
	HTTPS   bool
	Host    string // the Host header; "" is the address
	Path    string
	Headers []Header
	Timeout time.Duration

	Delay     time.Duration // for how long it is not made yet, from when it was said on
	Successes int           // that are needed in a row, Period apart; up to 1 is one
	Period    time.Duration
}

// Header is one header line of a probe.
type Header struct{ Name, Value string }

// Update is what changed in the routes.
type Update struct {
	Version  string
	Complete bool // Routes is everything
	Anew     bool // it is told as a change, but of all that the controller says: what it leaves out it does not say
	Routes   []Route
	Removed  []Application
	// Balancers are the load balancers that take part: nil is as before or, with Complete, not said by this
	// controller; none is not known yet.
	Balancers []Balancer
	Asked     time.Time // when the update was asked for
}

// Balancer is one life of a load balancer.
type Balancer struct {
	Name      string
	StartedAt time.Time
	Address   string // IP:port at which the others reach it; "" is none
}
