package http2

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/socket"
)

// What is held for answers that come faster than clients take them, and how many connections one pod
// is given: each carries as many requests at a time as the pod allows.
const (
	answerWindow   = 128 << 10
	mostPerPod     = 64
	connectionIdle = 5 * time.Minute
)

var errPodFull = errors.New("the pod takes no more requests at a time on its connections")

// SenderOptions are the limits of a sender. The zero value of each takes the default named with it.
type SenderOptions struct {
	DialTimeout time.Duration // 1 s
	MaxHead     int           // bytes of an answer's head; 256 KiB
	Dial        func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o SenderOptions) withDefaults() SenderOptions {
	if o.DialTimeout == 0 {
		o.DialTimeout = time.Second
	}
	if o.MaxHead == 0 {
		o.MaxHead = 256 << 10
	}
	if o.Dial == nil {
		o.Dial = socket.PodDialer().DialContext
	}
	return o
}

// Sender sends requests to pods over HTTP/2 in clear text. A pod has one connection, and another one
// when it takes no more requests on those that it has. Close it when nothing is in flight any more.
type Sender struct {
	o         SenderOptions
	transport *http.Transport

	mu   sync.Mutex
	pods map[string]*pod
}

// pod is the connections to one address.
type pod struct {
	conns  []*http.ClientConn
	dialed chan struct{} // closed when the connection is there, or is not, that is being made; nil: none is
}

// NewSender makes a sender.
func NewSender(o SenderOptions) *Sender {
	s := &Sender{o: o.withDefaults(), pods: map[string]*pod{}}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	s.transport = &http.Transport{
		Protocols: &protocols, DisableCompression: true, IdleConnTimeout: connectionIdle, MaxResponseHeaderBytes: int64(s.o.MaxHead),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := s.o.Dial(ctx, network, address)
			if err == nil {
				_ = socket.SetUserTimeout(nc, socket.PodTimeout) // a connection that refuses it fails when it is used
			}
			return nc, err
		},
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: answerWindow, WriteByteTimeout: socket.PodTimeout},
	}
	return s
}

// reserve takes a place on a connection to the pod; fresh: it was made for this request. It makes one
// when none has a place, or waits for one that is being made.
func (s *Sender) reserve(address string, r *proxy.Outgoing) (cc *http.ClientConn, fresh bool, err error) {
	limit := s.o.DialTimeout
	if r.Left > 0 && r.Left < limit {
		limit = r.Left
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r.Client.Watch(dialing{cancel})
	defer r.Client.Watch(nil)
	for {
		cc, dialed, err := s.take(address)
		switch {
		case cc != nil || err != nil:
			return cc, false, err
		case dialed == nil:
			cc, err = s.dial(ctx, address)
			return cc, true, dialFailure(err, r)
		}
		select {
		case <-dialed:
		case <-ctx.Done():
			return nil, false, dialFailure(ctx.Err(), r)
		}
	}
}

// take takes a place on a connection that there is. Without one: whether to wait for one that is
// being made, or (nil) to make one, which others wait for then.
func (s *Sender) take(address string) (cc *http.ClientConn, dialed chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pods[address]
	if p == nil {
		p = &pod{}
		s.pods[address] = p
	}
	for _, cc := range p.conns {
		if cc.Reserve() == nil {
			return cc, nil, nil
		}
	}
	switch {
	case p.dialed != nil:
		return nil, p.dialed, nil
	case len(p.conns) >= mostPerPod:
		return nil, nil, &proxy.UnsentError{Err: errPodFull}
	}
	p.dialed = make(chan struct{})
	return nil, nil, nil
}

// dial makes a connection, with a place taken on it.
func (s *Sender) dial(ctx context.Context, address string) (*http.ClientConn, error) {
	cc, err := s.transport.NewClientConn(ctx, "http", address)
	if err == nil {
		err = cc.Reserve()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pods[address]
	close(p.dialed)
	p.dialed = nil
	if err != nil {
		s.tidy(address, p)
		return nil, err
	}
	p.conns = append(p.conns, cc)
	// A hook runs on whatever goroutine ends a request, or closes the connection: it may hold locks.
	cc.SetStateHook(func(cc *http.ClientConn) {
		if cc.Err() != nil {
			go s.forget(address, cc)
		}
	})
	return cc, nil
}

// forget takes a connection out that takes no more requests; it closes itself when the last has ended.
func (s *Sender) forget(address string, cc *http.ClientConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pods[address]
	if p == nil {
		return
	}
	for i, other := range p.conns {
		if other == cc {
			p.conns = append(p.conns[:i], p.conns[i+1:]...)
			break
		}
	}
	s.tidy(address, p)
}

// tidy takes a pod out that has no connection.
func (s *Sender) tidy(address string, p *pod) {
	if len(p.conns) == 0 && p.dialed == nil {
		delete(s.pods, address)
	}
}

// Close closes every connection.
func (s *Sender) Close() {
	s.mu.Lock()
	var all []*http.ClientConn
	for _, p := range s.pods {
		all = append(all, p.conns...)
	}
	s.mu.Unlock()
	for _, cc := range all {
		_ = cc.Close()
	}
}

// dialing is a connection that is being made or waited for.
type dialing struct{ cancel context.CancelFunc }

// Cancel gives up.
func (d dialing) Cancel() { d.cancel() }

// dialFailure says what it means that there is no connection; nil when there is one.
func dialFailure(err error, r *proxy.Outgoing) error {
	switch {
	case err == nil:
		return nil
	case r.Client.HasGone():
		return proxy.ErrGone
	}
	for _, limit := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, limit) {
			return &proxy.LocalError{Err: err}
		}
	}
	return &proxy.UnsentError{Err: err, Refused: true}
}
