package scaling

import "time"

// The windows over which demand is averaged; what is older counts less and less.
const (
	ShortWindow = 10 * time.Second
	LongWindow  = 60 * time.Second
)

// Windows is one value, averaged over the short and over the long window.
type Windows struct{ Short, Long float64 }

// Demand is what an application is asked to do, summed over the load balancers whose report is
// fresh, and over the pods whose sidecar's word is. The zero value is no demand.
type Demand struct {
	Arrivals    Windows       // requests that came, per second
	Concurrency Windows       // requests on pods on average, streams included, tunnels not
	Waiting     int32         // requests for which no pod was free, now
	InFlight    int32         // requests on pods now, streams and tunnels included
	Streaming   int32         // of these, answers that have begun and not ended, tunnels included
	Tunnels     int32         // of these, tunnels such as WebSockets
	ServiceTime time.Duration // that a request is on a pod on average; 0: not known
	Age         time.Duration // of the oldest report in it
	Unknown     bool          // a load balancer was heard once only: what it brings is not in Arrivals and Concurrency yet

	// What the sidecars say of their pods, also of requests that passed by no load balancer.
	Running      float64       // requests that are worked on
	Queued       float64       // requests that wait within the pods
	SidecarAge   time.Duration // of the oldest word in them
	WorkingUntil time.Time     // when the first of them is too old to count; zero: there is none
	Still        bool          // they have been the same for so long that they count no more

	// PodConcurrency is how many requests a pod works on at a time before its throughput stops to
	// grow, as it was learned; 0: not known.
	PodConcurrency float64
}

// Working tells whether the sidecars say that the pods have something to do.
func (d Demand) Working() bool { return (d.Running > 0 || d.Queued > 0) && !d.Still }
