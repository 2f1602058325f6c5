package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// scenario is one way to push.
type scenario struct {
	name        string
	before      bool // by the earlier build
	items       int  // of a request; 1 is POST /metrics
	fresh       bool // a new connection for each
	connections bool // the memory of kept ones is measured

	// Who pushes says so with a token signed so, or not at all; of the controller of this build none is
	// required then.
	tokens algorithm
	first  bool // each token is one that is not known (any more), and verified
}

var scenarios = []scenario{
	{name: "before, one by one", before: true, items: 1},
	{name: "now, one by one", items: 1},
	{name: "now, one by one, with a token (RS256)", items: 1, tokens: rs256},
	{name: "now, one by one, with a token (ES256)", items: 1, tokens: es256},
	{name: "now, one by one, each token new (RS256)", items: 1, tokens: rs256, first: true},
	{name: "now, one by one, each token new (ES256)", items: 1, tokens: es256, first: true},
	{name: "now, in batches of 100", items: 100},
	{name: "now, in batches of 100, with a token (RS256)", items: 100, tokens: rs256},
	{name: "now, in batches of 500", items: 500},
	{name: "before, a new connection each", before: true, items: 1, fresh: true},
	{name: "now, a new connection each", items: 1, fresh: true},
	{name: "before, a kept connection", before: true, connections: true},
	{name: "now, a kept connection", connections: true},
}

// workers push side by side.
const workers = 8

// push pushes for so long, and says how many were taken and what CPU time that cost.
func (c *controller) push(long time.Duration) (pushes int64, cpu time.Duration, err error) {
	before, err := c.process.CPU()
	if err != nil {
		return 0, 0, err
	}
	var (
		mu   sync.Mutex
		all  sync.WaitGroup
		ends = time.Now().Add(long)
	)
	for w := range workers {
		all.Go(func() {
			n, fault := c.pushers[w].until(c.address, ends)
			mu.Lock()
			defer mu.Unlock()
			pushes += n
			if fault != nil {
				err = fault
			}
		})
	}
	all.Wait()
	if err != nil {
		return 0, 0, err
	}
	after, err := c.process.CPU()
	return pushes, after - before, err
}

func dial(address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(context.Background(), "tcp", address)
}

// pusher writes requests made before, so that what it costs is little.
type pusher struct {
	scenario
	begin   int // the pods from here on are its own
	pod     int
	signed  []string // a token each of all pods, as often as there are some; or one of who sends batches; or none
	round   int      // which of a pod's tokens is next
	body    bytes.Buffer
	request bytes.Buffer
}

func newPusher(s scenario, first int, signed []string) *pusher {
	return &pusher{scenario: s, begin: first, pod: first, signed: signed}
}

func (p *pusher) until(address string, ends time.Time) (pushes int64, err error) {
	var conn net.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	for time.Now().Before(ends) {
		if conn == nil {
			if conn, err = dial(address); err != nil {
				return pushes, err
			}
		}
		if err := p.over(conn); err != nil {
			return pushes, err
		}
		pushes += int64(p.items)
		if p.fresh {
			_ = conn.Close()
			conn = nil
		}
	}
	return pushes, nil
}

// over makes one request over the connection.
func (p *pusher) over(conn net.Conn) error {
	p.write()
	if _, err := conn.Write(p.request.Bytes()); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s (%w)", answer.StatusCode, body, err)
	}
	return nil
}

// write makes the next request, as the sidecar and the collector write them.
func (p *pusher) write() {
	p.body.Reset()
	path := "/metrics"
	if p.items > 1 {
		path = "/v1/pod-metrics"
		p.body.WriteString(`{"collector":"bench","items":[`)
	}
	for i := range max(p.items, 1) {
		if i > 0 {
			p.body.WriteByte(',')
		}
		p.next()
		fmt.Fprintf(&p.body, `{"ageSeconds":0.013,"metrics":{"cacheUsage":0.25,"cpuUsage":412.5,"inFlight":3,"memoryUsage":11.23,"queued":0,"requestRate":12.4,"responseTime":38.4},`+
			`"namespace":%q,"podName":%q}`, namespaceOf(p.pod), nameOf(p.pod))
	}
	if p.items > 1 {
		p.body.WriteString(`]}`)
	}
	p.request.Reset()
	fmt.Fprintf(&p.request, "POST %s HTTP/1.1\r\nHost: controller\r\nUser-Agent: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, p.body.Len())
	if token := p.token(); token != "" {
		p.request.WriteString("Authorization: Bearer " + token + "\r\n")
	}
	p.request.WriteString("\r\n")
	p.request.Write(p.body.Bytes())
}

// next takes the next of its pods; when all had their turn, the next token of each.
func (p *pusher) next() {
	p.pod++
	if p.pod == p.begin+pods/workers {
		p.pod, p.round = p.begin, p.round+1
	}
}

// token says who sends the request.
func (p *pusher) token() string {
	switch len(p.signed) {
	case 0:
		return ""
	case 1:
		return p.signed[0]
	}
	return p.signed[p.round*pods%len(p.signed)+p.pod]
}
