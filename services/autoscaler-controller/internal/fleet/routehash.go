package fleet

import (
	"math"
	"slices"
	"time"
)

// A route's hash is the same in every process of one version that says the same of the application, so
// that what a load balancer holds of one leader need not be sent again by the next. What each process
// measures for itself is left out, and does no harm when it is old: ExpectedStart, the time since when a
// start is blocked, and the pods' loads, which age by themselves. Leases are in: a load balancer that
// follows a version must know them.

// hashForm is another one when the same route is put into other words by the adapter.
const hashForm = 1

// FNV-1a, 64 bits.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// sum is an FNV-1a hash of what was written to it.
type sum uint64

func (s *sum) bytes(text string) {
	h := uint64(*s)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * fnvPrime
	}
	*s = sum(h)
}

func (s *sum) number(n uint64) {
	h := uint64(*s)
	for range 8 {
		h = (h ^ n&0xff) * fnvPrime
		n >>= 8
	}
	*s = sum(h)
}

// text also says where it ends.
func (s *sum) text(text string) {
	s.count(len(text))
	s.bytes(text)
}

func (s *sum) texts(list []string) {
	s.count(len(list))
	for _, t := range list {
		s.text(t)
	}
}

func (s *sum) count(n int)          { s.number(uint64(n)) }         //nolint:gosec // bits are all that matters
func (s *sum) span(d time.Duration) { s.number(uint64(d)) }         //nolint:gosec // as above
func (s *sum) small(n int32)        { s.number(uint64(uint32(n))) } //nolint:gosec // as above
func (s *sum) flags(flags ...bool) {
	for _, f := range flags {
		n := uint64(0)
		if f {
			n = 1
		}
		*s = sum((uint64(*s) ^ n) * fnvPrime)
	}
}

func (s *sum) moment(t time.Time) {
	if t.IsZero() {
		s.number(math.MaxUint64)
		return
	}
	s.number(uint64(t.UnixNano()))
}

// hash is that of what the route says; it is never 0.
func (r *Route) hash() uint64 {
	s := sum(fnvOffset)
	s.count(hashForm)
	s.text(r.Namespace)
	s.text(r.Deployment)
	s.text(r.Autoscaler)
	s.address(&r.Address)
	s.text(string(r.State))
	s.span(r.WakeUpTimeout)
	s.span(r.Waiting.StartTimeout)
	s.span(r.Waiting.BusyTimeout)
	s.text(r.Waiting.While)
	s.count(len(r.Uncounted))
	for i := range r.Uncounted {
		u := &r.Uncounted[i]
		s.texts(u.Paths)
		s.texts(u.Methods)
		s.texts(u.UserAgents)
		s.small(u.StatusWhileAsleep)
	}
	s.text(r.Blocked.Reason)
	s.text(r.Blocked.Message)
	s.moment(r.AsleepUntil)
	s.count(len(r.Endpoints))
	for i := range r.Endpoints {
		s.endpoint(&r.Endpoints[i])
	}
	return max(uint64(s), 1)
}

func (s *sum) address(a *Address) {
	s.place(&Place{a.Prefix, a.Hosts, a.StripPrefix, a.RewriteAnswers, a.H2C, a.Service})
	s.text(a.Algorithm)
	s.text(a.Hash.Header)
	s.text(a.Hash.Cookie)
	s.text(a.Hash.Query)
	s.flags(a.Hash.ClientAddress, a.Hash.MCPSession)
	s.small(a.Concurrency)
	s.count(len(a.AlsoAt))
	for i := range a.AlsoAt {
		s.place(&a.AlsoAt[i])
	}
}

func (s *sum) place(p *Place) {
	s.text(p.Prefix)
	s.texts(p.Hosts)
	s.flags(p.StripPrefix, p.RewriteAnswers, p.H2C)
	s.text(p.Service)
}

func (s *sum) endpoint(e *Endpoint) {
	s.text(e.Pod)
	s.text(e.Address)
	s.texts(e.AlsoAt)
	s.flags(e.Ready, e.Terminating, e.Probeable)
	s.moment(e.DrainsUntil)
	s.count(len(e.Probes))
	for i := range e.Probes {
		p := &e.Probes[i]
		s.flags(p.HTTP)
		s.small(p.Port)
		s.text(p.Scheme)
		s.text(p.Host)
		s.text(p.Path)
		s.count(len(p.Headers))
		for _, h := range p.Headers {
			s.text(h.Name)
			s.text(h.Value)
		}
		s.span(p.Timeout)
		s.span(p.Delay)
		s.moment(p.Started)
		s.small(p.Successes)
		s.span(p.Period)
	}
}

// equal tells whether both say the same, to the last detail.
func (r *Route) equal(o *Route) bool {
	return r.Key == o.Key && r.Autoscaler == o.Autoscaler && r.Address.equal(&o.Address) && r.State == o.State &&
		r.WakeUpTimeout == o.WakeUpTimeout && r.Waiting == o.Waiting && slices.EqualFunc(r.Uncounted, o.Uncounted, UncountedRequest.equal) &&
		r.Blocked.Reason == o.Blocked.Reason && r.Blocked.Message == o.Blocked.Message && r.Blocked.Since.Equal(o.Blocked.Since) &&
		r.ExpectedStart == o.ExpectedStart && r.AsleepUntil.Equal(o.AsleepUntil) && equalAt(r.Endpoints, o.Endpoints, (*Endpoint).equal)
}

// equalAt compares lists without copying what is in them.
func equalAt[T any](a, b []T, equal func(a, b *T) bool) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equal(&a[i], &b[i]) {
			return false
		}
	}
	return true
}

func (a *Address) equal(b *Address) bool {
	return a.Prefix == b.Prefix && slices.Equal(a.Hosts, b.Hosts) && a.StripPrefix == b.StripPrefix && a.RewriteAnswers == b.RewriteAnswers &&
		a.H2C == b.H2C && a.Algorithm == b.Algorithm && a.Hash == b.Hash && a.Concurrency == b.Concurrency && a.Service == b.Service &&
		equalAt(a.AlsoAt, b.AlsoAt, (*Place).equal)
}

func (p *Place) equal(o *Place) bool {
	return p.Prefix == o.Prefix && slices.Equal(p.Hosts, o.Hosts) && p.StripPrefix == o.StripPrefix && p.RewriteAnswers == o.RewriteAnswers &&
		p.H2C == o.H2C && p.Service == o.Service
}

func (u UncountedRequest) equal(o UncountedRequest) bool {
	return slices.Equal(u.Paths, o.Paths) && slices.Equal(u.Methods, o.Methods) && slices.Equal(u.UserAgents, o.UserAgents) &&
		u.StatusWhileAsleep == o.StatusWhileAsleep
}

func (e *Endpoint) equal(o *Endpoint) bool {
	return e.Pod == o.Pod && e.Address == o.Address && slices.Equal(e.AlsoAt, o.AlsoAt) && e.Ready == o.Ready && e.Terminating == o.Terminating &&
		e.Probeable == o.Probeable && e.DrainsUntil.Equal(o.DrainsUntil) && equalAt(e.Probes, o.Probes, (*Probe).equal) && e.Load.equal(o.Load)
}

func (p *Probe) equal(o *Probe) bool {
	return p.HTTP == o.HTTP && p.Port == o.Port && p.Scheme == o.Scheme && p.Host == o.Host && p.Path == o.Path && slices.Equal(p.Headers, o.Headers) &&
		p.Timeout == o.Timeout && p.Delay == o.Delay && p.Started.Equal(o.Started) && p.Successes == o.Successes && p.Period == o.Period
}

func (l *Load) equal(o *Load) bool {
	if l == o || l == nil || o == nil {
		return l == o
	}
	same := func(a, b *float64) bool { return a == b || a != nil && b != nil && *a == *b }
	return l.At.Equal(o.At) && same(l.Running, o.Running) && same(l.Waiting, o.Waiting) && same(l.CacheUsage, o.CacheUsage)
}
