package dispatch

// busy is the integral of a number over time: of requests on pods, their sum of seconds. It is
// exact, whatever the order in which changes that came at the same moment get here: each one that
// comes takes its time off, each that goes adds its own, and those that are there add the time now.
//
// It counts in microseconds since the dispatcher was made, which whole numbers hold for 290,000 years
// of one request.
type busy struct {
	now int64 // how many there are
	sum int64
}

func (b *busy) enter(at int64) {
	b.now++
	b.sum -= at
}

func (b *busy) leave(at int64) {
	b.now--
	b.sum += at
}

// seconds is the integral until a moment.
func (b *busy) seconds(at int64) float64 { return float64(max(b.sum+b.now*at, 0)) / 1e6 }

// Answer is what kind of answer a visit has, by which time is counted.
type Answer uint8

// The kinds of answers.
const (
	Whole        Answer = iota // it takes the pod until its last byte
	Stream                     // it goes on for as long as it likes; its first byte came with its head
	StreamToCome               // the same, but its first byte is still to come
	Tunnel                     // it is no answer, but a connection that changed its protocol
)

// stage is how far a visit is on its pod.
type stage uint8

const (
	away    stage = iota // it has no pod
	working              // nothing of the answer has come
	flowing              // the answer has begun
	tunnelled
)

// move brings a visit from one stage to the next, in the counts of its application. It is called
// with the application's lock held.
func (c *counters) move(v *Visit, to stage, at int64) {
	if v.arrival.Uncounted {
		return
	}
	if b := c.stage(v.stage); b != nil {
		b.leave(at)
	}
	if b := c.stage(to); b != nil {
		b.enter(at)
	}
	if v.Pod != nil {
		v.Pod.streaming += streams(to) - streams(v.stage)
	}
	v.stage = to
}

// streams is how many answers that have begun a visit is.
func streams(s stage) int {
	if s == flowing || s == tunnelled {
		return 1
	}
	return 0
}

func (c *counters) stage(s stage) *busy {
	switch s {
	case working:
		return &c.working
	case flowing:
		return &c.flowing
	case tunnelled:
		return &c.tunnelled
	case away:
	}
	return nil
}

// inFlight are the requests on pods.
func (c *counters) inFlight() int { return int(c.working.now) + c.streaming() }

// streaming are the answers that have begun and not ended.
func (c *counters) streaming() int { return int(c.flowing.now + c.tunnelled.now) }
