package proxy

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// side is one side of a tunnel in memory: what it says comes as a script has it, and what it hears is
// kept.
type side struct {
	mu       sync.Mutex
	says     chan part
	pending  []byte
	read     time.Time // deadline
	closed   chan struct{}
	received []byte
	ended    bool          // the other side said that it has no more to say
	refuses  error         // writes
	faults   bool          // reads panic
	breaks   bool          // writes panic
	stuck    chan struct{} // writes wait for it
}

func newSide() *side { return &side{says: make(chan part, 100), closed: make(chan struct{})} }

func (s *side) Next() ([]byte, error) {
	if s.faults {
		panic("a side")
	}
	if len(s.pending) > 0 {
		return s.pending, nil
	}
	s.mu.Lock()
	var limit <-chan time.Time
	if !s.read.IsZero() {
		timer := time.NewTimer(time.Until(s.read))
		defer timer.Stop()
		limit = timer.C
	}
	s.mu.Unlock()
	select {
	case p, ok := <-s.says:
		if !ok {
			return nil, io.EOF
		}
		s.pending = []byte(p.text)
		return s.pending, p.err
	case <-s.closed:
		return nil, os.ErrClosed
	case <-limit:
		return nil, os.ErrDeadlineExceeded
	}
}

func (s *side) Used(n int) { s.pending = s.pending[n:] }

func (s *side) Write(p []byte) (int, error) {
	if s.breaks {
		panic("a side")
	}
	if s.stuck != nil {
		<-s.stuck
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuses != nil {
		return 0, s.refuses
	}
	s.received = append(s.received, p...)
	return len(p), nil
}

func (s *side) Idle(read, _ time.Duration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if read > 0 {
		s.read = now.Add(read)
	}
}

func (s *side) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	return nil
}

func (s *side) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	return nil
}

func (s *side) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

func (s *side) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.received)
}

const (
	upgrading = "GET /shop/ws HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket"
	switching = "HTTP/1.1 101 Switching Protocols\nConnection: Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Accept: x\nContent-Length: 3"
)

// joined is a tunnel between two sides, and the exchange around it.
type joinedSides struct {
	*unit
	client *client
	c, p   *side
	done   chan struct{}
}

// join opens a tunnel.
func join(t *testing.T, head string) *joinedSides {
	t.Helper()
	j := &joinedSides{client: newClient(), c: newSide(), p: newSide(), done: make(chan struct{})}
	j.client.stream = j.c
	j.unit = newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
		a := answers(r, head)
		a.stream = j.p
		return a, nil
	}))
	return j
}

func (j *joinedSides) begin() {
	go func() {
		defer close(j.done)
		j.Serve(j.client, request(j.tb, upgrading))
	}()
}

func TestTunnel_TellsTheClientAndCarriesBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, switching)
		j.begin()
		synctest.Wait()
		if h := j.client.head; h == nil || h.Status != 101 || h.Upgrade != "WebSocket" || !h.Bodiless {
			t.Fatalf("head %+v", j.client.head)
		}
		equal(t, "fields", j.client.fields, []string{"Sec-WebSocket-Accept: x"})
		j.c.says <- part{text: "ping"}
		synctest.Wait()
		j.p.says <- part{text: "pong!"}
		synctest.Wait()
		if j.p.text() != "ping" || j.c.text() != "pong!" {
			t.Errorf("the pod has %q, the client %q", j.p.text(), j.c.text())
		}
		if s := j.d.Snapshots()[0]; s.InFlight != 1 || s.Streaming != 1 {
			t.Errorf("%d are in flight, %d of them streaming", s.InFlight, s.Streaming)
		}
		close(j.c.says)
		close(j.p.says)
		<-j.done
		j.settled()
		if r := j.log.last(); r.Status != 101 || r.RequestBytes != 4 || r.ResponseBytes != 5 || r.Error != "" {
			t.Errorf("the log has %+v", r)
		}
	})
}

func TestTunnel_NamesTheProtocolThatWasAskedForWhenThePodNamesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, "HTTP/1.1 101 Switching Protocols")
		close(j.c.says)
		close(j.p.says)
		j.begin()
		<-j.done
		if j.client.head.Upgrade != "websocket" {
			t.Errorf("head %+v", j.client.head)
		}
	})
}

func TestTunnel_WhoEndsOneSideMayGoOnListening(t *testing.T) {
	for name, swap := range map[string]bool{"the client": false, "the pod": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := join(t, switching)
				first, other := j.c, j.p
				if swap {
					first, other = j.p, j.c
				}
				j.begin()
				first.says <- part{text: "that was all"}
				close(first.says)
				synctest.Wait()
				if !other.ended || first.ended || first.isClosed() || other.isClosed() {
					t.Errorf("told %v and %v, closed %v and %v", other.ended, first.ended, first.isClosed(), other.isClosed())
				}
				other.says <- part{text: "still here"}
				synctest.Wait()
				if first.text() != "still here" || other.text() != "that was all" {
					t.Errorf("received %q and %q", first.text(), other.text())
				}
				close(other.says)
				<-j.done
				j.settled()
				if !first.ended {
					t.Error("the end was not passed on")
				}
			})
		})
	}
}

func TestTunnel_EndsWhenNothingComesForTooLong(t *testing.T) {
	for name, test := range map[string]struct {
		talk func(j *joinedSides)
		want time.Duration
	}{
		"not once":          {func(*joinedSides) {}, time.Minute},
		"of the client":     {func(j *joinedSides) { j.c.says <- part{text: "x"} }, time.Minute},
		"after half an end": {func(j *joinedSides) { close(j.c.says) }, time.Minute},
		"one way is enough": {func(j *joinedSides) {
			for range 10 {
				time.Sleep(50 * time.Second)
				j.p.says <- part{text: "x"}
			}
		}, 500*time.Second + time.Minute},
		"the other way too": {func(j *joinedSides) {
			for range 10 {
				time.Sleep(50 * time.Second)
				j.c.says <- part{text: "x"}
			}
		}, 500*time.Second + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j, began := join(t, switching), time.Now()
				go test.talk(j)
				j.begin()
				<-j.done
				if took := time.Since(began); took != test.want || !j.c.isClosed() || !j.p.isClosed() {
					t.Errorf("ended after %v, closed %v and %v", took, j.c.isClosed(), j.p.isClosed())
				}
				j.settled()
			})
		})
	}
}

func TestTunnel_FaultsEndBothSides(t *testing.T) {
	for name, test := range map[string]struct {
		happen func(j *joinedSides)
		faults int
	}{
		"the client resets":           {func(j *joinedSides) { j.c.says <- part{err: errors.New("reset")} }, 0},
		"the pod resets":              {func(j *joinedSides) { j.p.says <- part{err: errors.New("reset")} }, 0},
		"the client takes nothing":    {func(j *joinedSides) { j.c.refuses = errors.New("reset"); j.p.says <- part{text: "x"} }, 0},
		"the pod takes nothing":       {func(j *joinedSides) { j.p.refuses = errors.New("reset"); j.c.says <- part{text: "x"} }, 0},
		"a fault from the pod's side": {func(j *joinedSides) { j.p.faults = true }, 1},
		"a fault from the client's":   {func(j *joinedSides) { j.c.faults = true }, 1},
		"both":                        {func(j *joinedSides) { j.c.faults, j.p.faults = true, true }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := join(t, switching)
				test.happen(j)
				j.begin()
				<-j.done
				j.settled()
				if !j.c.isClosed() || !j.p.isClosed() || j.faults() != test.faults {
					t.Errorf("closed %v and %v, %d faults", j.c.isClosed(), j.p.isClosed(), j.faults())
				}
				if r := j.log.last(); r.Status != 101 || r.Error == "" {
					t.Errorf("the log has %+v", r)
				}
				if j.failed("broke-off") > 0 || len(j.usable()) != 2 {
					t.Error("a pod was blamed")
				}
			})
		})
	}
}

func TestTunnel_AClientThatCannotChangeGetsNone(t *testing.T) {
	j := join(t, switching)
	j.client.stream = nil
	if r := j.ask(j.client, upgrading); !strings.Contains(r.Error, "no tunnel here") || r.Status != 101 {
		t.Errorf("the log has %+v", r)
	}
	j.client.fails = errors.New("reset")
	if r := j.ask(j.client, upgrading); !strings.Contains(r.Error, "reset") {
		t.Errorf("the log has %+v", r)
	}
}

func TestDrain_WaitsForTunnelsAndClosesThemInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := join(t, switching)
		if cut := j.Drain(nil); cut != 0 {
			t.Errorf("%d were cut where none was", cut)
		}
		j.begin()
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(j.c.says); close(j.p.says) })
		if cut := j.Drain(nil); cut != 0 {
			t.Errorf("%d were cut that ended by themselves", cut)
		}
		<-j.done

		other := join(t, switching)
		other.begin()
		synctest.Wait()
		deadline := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(deadline) })
		if cut := other.Drain(deadline); cut != 1 || !other.c.isClosed() || !other.p.isClosed() {
			t.Errorf("%d were cut, closed %v and %v", cut, other.c.isClosed(), other.p.isClosed())
		}
		<-other.done
		other.settled()
	})
}
