package app_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// podAnswer is what a pod answers that is not told otherwise.
const podAnswer = "HTTP/1.1 200 OK\r\nX-Pod: yes\r\nContent-Length: 2\r\n\r\nok"

// scriptedPod is a pod whose connections do as a case says, in the order in which they are opened.
// A connection that is not closed by its steps, and every one beyond them, serves: it takes whole
// requests, notes them, and answers each.
type scriptedPod struct {
	s        *session
	listener *net.TCPListener
	scripts  [][]step
	finished []chan struct{} // closed when the steps of a connection are done
	answers  []string        // of the requests that are served, in their order; then podAnswer
	mu       sync.Mutex
	accepted int
	served   []served
	faults   []error
	open     map[*net.TCPConn]bool
	ended    sync.WaitGroup
}

// served is a request that a pod has taken whole.
type served struct {
	head    head
	body    string
	trailer head
}

func newScriptedPod(s *session, scripts [][]step, answers []string) *scriptedPod {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	p := &scriptedPod{s: s, listener: l.(*net.TCPListener), scripts: scripts, answers: answers, open: map[*net.TCPConn]bool{}}
	for range scripts {
		p.finished = append(p.finished, make(chan struct{}))
	}
	p.start()
	return p
}

// servingPod is a pod that serves from the first connection on.
func servingPod(s *session, l net.Listener) *scriptedPod {
	p := &scriptedPod{s: s, listener: l.(*net.TCPListener), open: map[*net.TCPConn]bool{}}
	p.start()
	return p
}

func (p *scriptedPod) start() {
	p.ended.Go(p.accept)
	p.s.t.Cleanup(p.close)
}

func (p *scriptedPod) address() string { return p.listener.Addr().String() }

func (p *scriptedPod) accept() {
	for {
		conn, err := p.listener.AcceptTCP()
		if err != nil {
			return
		}
		p.mu.Lock()
		n := p.accepted
		p.accepted++
		p.open[conn] = true
		p.mu.Unlock()
		p.ended.Go(func() { p.converse(conn, n) })
	}
}

// converse does what the script of the nth connection says, and then serves.
func (p *scriptedPod) converse(conn *net.TCPConn, n int) {
	defer func() {
		_ = conn.Close()
		p.mu.Lock()
		delete(p.open, conn)
		p.mu.Unlock()
	}()
	w := newWire(p.s, conn)
	if n < len(p.scripts) {
		err := w.run(p.scripts[n])
		if err != nil {
			p.fault(fmt.Errorf("the pod's connection %d: %w", n+1, err))
		}
		close(p.finished[n])
		if err != nil {
			return
		}
	}
	for {
		err := p.serve(w)
		switch {
		case err == nil:
			continue
		case !gone(err) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF):
			p.fault(fmt.Errorf("the pod's connection %d: %w", n+1, err))
		}
		return
	}
}

// serve takes a whole request and answers it.
func (p *scriptedPod) serve(w *wire) error {
	if err := w.takeHead(); err != nil {
		return err
	}
	if len(w.last.values("Expect")) > 0 {
		if err := w.write("HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return err
		}
	}
	body, err := io.ReadAll(w.body)
	if err != nil {
		return err
	}
	s := served{head: w.last, body: string(body)}
	if c, ok := w.body.(*chunks); ok {
		s.trailer = c.trailer
	}
	p.mu.Lock()
	p.served = append(p.served, s)
	answer := podAnswer
	if len(p.answers) > 0 && !p.s.isProbe(w.last.line) {
		answer, p.answers = p.answers[0], p.answers[1:]
	}
	p.mu.Unlock()
	if w.method == "HEAD" && answer == podAnswer {
		answer = answer[:len(answer)-len("ok")]
	}
	_, err = io.WriteString(w.conn, answer)
	return err
}

func (p *scriptedPod) fault(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, err)
}

// take returns what was served and what went wrong so far.
func (p *scriptedPod) take() ([]served, []error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]served{}, p.served...), append([]error{}, p.faults...)
}

func (p *scriptedPod) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for conn := range p.open {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.ended.Wait()
}

// podStops is a step after which a pod's connection serves no more: it waits for the other end to
// go, and takes what still comes.
func podStops() step {
	return step{"waits for the other end to go", func(w *wire) error {
		_, _ = io.Copy(io.Discard, w.br)
		return nil
	}}
}
