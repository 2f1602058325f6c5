package check

import (
	"time"
)

// Facts are what was seen. An error in place of a fact says why it was not.
type Facts struct {
	Now    time.Time // by this machine's clock
	System string    // the namespace where Nemesis runs

	Resource   error // that the API server serves CustomAutoscalers
	Controller Service
	Balancers  []Balancer
	// BalancersErr is why the load balancers were not all seen; Some are there then.
	BalancersErr error

	Pods    []Pod // of the services
	PodsErr error

	Leases    []Lease
	LeasesErr error

	Authority    []Certificate
	AuthorityErr error

	Rights       []Right // the controller's
	RightsErr    error
	OneNamespace bool // it has its rights in one namespace alone, by a Role

	Policies    int // NetworkPolicies where Nemesis runs
	PoliciesErr error

	Clocks []Clock

	Applications    []Application
	ApplicationsErr error
	Refused         []string // claims of Deployments that are no applications for it, and why
}

// Service is what a service says of itself to anybody.
type Service struct {
	Err               error
	Ready             bool
	Waiting, Troubles []string
	Certificates      []Certificate // that it shows and verifies others by; the Name of each is its use
}

// Balancer is a load balancer.
type Balancer struct {
	Service
	Name      string
	StateErr  error
	Connected bool
	Age       time.Duration // since the last good answer of the controller
	LastError string
	Settings  string // in words, to be compared
	Draining  bool
	Log       []string // what troubles the log
	Behind    int64    // records that wait
	Oldest    time.Duration
}

// Pod is one of a service's pods.
type Pod struct {
	Name, Service, Version string // the version of its image
	Account                string // the service account that it runs as
	Ready                  bool
	Why                    string // it is not ready
	Restarts               int32
}

// Lease is by which one leads.
type Lease struct {
	Name, Holder string
	Renewed      time.Time
	Lasts        time.Duration
}

// Certificate is one of the authority that the services are verified by, or of a service.
type Certificate struct {
	Name        string
	From, Until time.Time
}

// Clock is somebody's, asked between two looks at this machine's.
type Clock struct {
	Whose           string
	At              time.Time
	Before, Between time.Time // this machine's
}

// Application is one with what troubles it, and how old the reports on it are.
type Application struct {
	Name     string
	Troubles []string
	Reports  []Report
}

// Report is a load balancer's.
type Report struct {
	Balancer string
	Age      time.Duration
}
