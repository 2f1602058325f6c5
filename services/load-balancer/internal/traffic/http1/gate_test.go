package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

// limited is a gate of so many places, and of so many more that are crowded.
type limited struct {
	mu          sync.Mutex
	places      int
	crowd       int
	open, extra int
}

func (g *limited) Enter() (func(), bool, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.open < g.places:
		g.open++
		return func() { g.leave(&g.open) }, false, true
	case g.extra < g.crowd:
		g.extra++
		return func() { g.leave(&g.extra) }, true, true
	}
	return nil, true, false
}

func (g *limited) leave(from *int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	*from--
}

func (g *limited) Limit() int { return g.places }

func (g *limited) Full() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open >= g.places
}

func (g *limited) count() (int, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.extra
}

// crowded answers 503 to who is one too many, and waits on /wait.
func crowded(proceed <-chan struct{}) script {
	return func(c proxy.Client, r *message.Request) {
		if limit, too := c.Crowded(); too {
			reply(c, &proxy.Head{Status: 503, Reason: "Too Many", Length: int64(limit)}, times("x", limit))
			return
		}
		if r.Path == "/wait" {
			<-proceed
		}
		ok(c, r.Path)
	}
}

func TestGate_OneTooManyTakesThePlaceOfTheOneThatIsIdleLongest(t *testing.T) {
	gate, proceed := &limited{places: 3, crowd: 1}, make(chan struct{})
	d := start(t, crowded(proceed), func(o *Options) { o.Gate = gate }).serve()
	var idle []*client
	for i := range 3 {
		c := d.dial().send(get("/"))
		c.expect(200, "/", false)
		d.idles(i + 1) // so that their order is known
		idle = append(idle, c)
	}
	idle[0].send(get("/again")).expect(200, "/again", false) // now it is the one that is idle shortest
	d.idles(3)
	for i, victim := range []*client{idle[1], idle[2], idle[0]} {
		c := d.dial().send(get("/wait"))
		victim.expectEnd()
		t.Cleanup(func() { _ = c.Close() })
		testwait.Until(t, "it is served", func() bool { return d.idleNow() == 2-i })
	}
	// All are busy: the next is told so, and the one after that not even that.
	c := d.dial()
	testwait.Until(t, "it is crowded", func() bool { _, extra := gate.count(); return extra == 1 })
	d.dial().expectEnd()
	c.send(get("/")).expect(503, "xxx", true)
	c.expectEnd()
	close(proceed)
	testwait.Until(t, "the crowd has gone", func() bool { open, extra := gate.count(); return open == 3 && extra == 0 })
}

// idles waits until so many connections are idle.
func (d *site) idles(n int) {
	d.t.Helper()
	testwait.Until(d.t, "they are idle", func() bool { return d.idleNow() == n })
}

func (d *site) idleNow() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := d.idle.first; c != nil; c = c.after {
		n++
	}
	return n
}

// A request that came in the moment in which its connection was chosen is not begun: its client sees
// the connection end, and sends it elsewhere.
func TestGate_ARequestOnAConnectionThatIsClosedIsNotServed(t *testing.T) {
	var served, answered atomic.Int64
	gate := &limited{places: 2, crowd: 1000}
	d := start(t, func(c proxy.Client, r *message.Request) {
		if _, too := c.Crowded(); !too {
			served.Add(1)
		}
		ok(c, r.Path)
	}, func(o *Options) { o.Gate = gate }).serve()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				c := d.dial()
				for range 3 {
					if _, err := io.WriteString(c, get("/")); err != nil {
						break
					}
					line, err := c.r.ReadString('\n')
					if err != nil {
						break
					}
					rest := 0
					for rest != 2 && err == nil { // to the body
						var more string
						more, err = c.r.ReadString('\n')
						rest = len(more)
						if strings.HasPrefix(more, "Connection: close") {
							line = ""
						}
					}
					_, _ = c.r.Discard(1)
					if line == "" || err != nil {
						break
					}
					answered.Add(1)
				}
				_ = c.Close()
			}
		})
	}
	group.Wait()
	if served.Load() != answered.Load() {
		t.Errorf("%d requests were served, %d answered", served.Load(), answered.Load())
	}
}

// Neither who has its answer and does not go, nor who does not say what it wants, keeps a place that others want.
func TestGate_NobodyKeepsAPlaceWithoutARequest(t *testing.T) {
	answered := func(request string) func(*client) {
		return func(c *client) { c.send(request).expect(200, "/", true) }
	}
	for name, keep := range map[string]func(*client){
		"a body that was not wanted, and does not come": answered("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"),
		"the same in chunks":                            answered("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"),
		"what is no request":                            func(c *client) { c.send("GET\r\n\r\n") },
		"a part of a head":                              func(c *client) { c.send("GET / HT") },
		"a part of a second head":                       func(c *client) { c.send(get("/")).expect(200, "/", false); c.send("GET / HT") },
		"a part of an empty line":                       func(c *client) { c.send("\r") },
	} {
		t.Run(name, func(t *testing.T) {
			gate := &limited{places: 2, crowd: 1}
			d := start(t, crowded(nil), func(o *Options) { o.Gate = gate }).serve()
			for range 2 {
				c := d.dial()
				keep(c)
			}
			testwait.Until(t, "another one is served", func() bool {
				c := d.dial().send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
				defer func() { _ = c.Close() }()
				r, err := http.ReadResponse(bufio.NewReader(c), nil)
				return err == nil && r.StatusCode == http.StatusOK
			})
		})
	}
}

func TestEvict_TakesFirstOfWhichLeastIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Gate: open{}})
		conns := map[string]*conn{}
		for _, name := range []string{"slow", "idle", "answered", "served"} {
			near, _ := net.Pipe()
			conns[name] = newConn(s, near, func() {}, false)
		}
		s.slows(conns["slow"])
		s.lists(&s.lingering, conns["answered"])
		s.rests(conns["idle"])
		for _, name := range []string{"idle", "answered"} {
			if !s.evict(false) || conns[name].in != nil {
				t.Errorf("another was chosen than the one that is %s", name)
			}
		}
		if s.evict(false) {
			t.Error("a head had not its second to come")
		}
		time.Sleep(slowFrom)
		if !s.evict(false) || s.moves(conns["slow"]) || s.evict(false) {
			t.Error("another was chosen than the one that is slow")
		}
	})
}

func TestEvict_AtTheEndLeavesWhatIsUnderWay(t *testing.T) {
	s := New(Options{Gate: open{}})
	near, _ := net.Pipe()
	c := newConn(s, near, func() {}, false)
	s.lists(&s.lingering, c)
	if s.evict(true) {
		t.Error("a client has not the time to read its answer")
	}
	s.slows(c)
	if s.evict(true) {
		t.Error("a request that has begun to come is not served")
	}
}

func TestMoves_TellsWhoWasChosenToBeClosed(t *testing.T) {
	s := New(Options{Gate: open{}})
	var all []*conn
	for range 3 {
		near, _ := net.Pipe()
		c := newConn(s, near, func() {}, false)
		if !s.rests(c) {
			t.Fatal("it may not be idle")
		}
		all = append(all, c)
	}
	if !s.moves(all[1]) || !s.evict(false) || s.moves(all[0]) || !s.moves(all[2]) || s.evict(true) {
		t.Error("another was chosen than the first")
	}
}

func TestEvict_LeavesThoseBeyondTheLimitTheirAnswer(t *testing.T) {
	s := New(Options{Gate: open{}})
	var all []*conn
	for i := range 4 {
		near, _ := net.Pipe()
		c := newConn(s, near, func() {}, i != 2)
		s.rests(c)
		all = append(all, c)
	}
	if !s.evict(false) || all[2].in != nil || s.evict(false) {
		t.Error("another was chosen than the one within the limit")
	}
	for range 3 {
		if !s.evict(true) {
			t.Error("one is left when all shall end")
		}
	}
	if s.evict(true) {
		t.Error("there was one more")
	}
}

func TestGate_OneBeyondTheLimitHasTheTimeOfAHeadToAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, c := piped(t, crowded(nil), func(o *Options) {
			o.Gate, o.HeadTimeout, o.IdleTimeout = &limited{crowd: 1}, 8*time.Second, time.Hour
		})
		if after := c.endsAfter(began); after != 9*time.Second {
			t.Errorf("it ends after %v", after)
		}
	})
}

func TestList_KeepsTheOrderWhoeverIsTakenOut(t *testing.T) {
	var l list
	all := []*conn{{}, {}, {}, {}}
	order := func(want ...*conn) {
		t.Helper()
		at, before := l.first, (*conn)(nil)
		for i, c := range want {
			if at != c || c.before != before {
				t.Fatalf("place %d is another's", i)
			}
			at, before = c.after, c
		}
		if at != nil || l.last != before {
			t.Fatal("there is one more")
		}
	}
	order()
	for _, c := range all {
		l.append(c)
	}
	order(all...)
	l.remove(all[1])
	l.remove(all[1])
	order(all[0], all[2], all[3])
	l.remove(all[3])
	l.append(all[1])
	order(all[0], all[2], all[1])
	l.remove(all[0])
	l.remove(all[1])
	order(all[2])
	l.remove(all[2])
	order()
	l.append(all[0])
	order(all[0])
}
