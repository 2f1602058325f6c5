//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// How often a whole request is measured, and for how long: long enough for reports and the collection of
// garbage to be in it. The median over the rounds is what it costs; all have them by turns.
// There are so many connections that the load balancer always has something to do: what it costs to wake up
// is not a request's.
const (
	connections  = 16
	wholeRounds  = 9
	wholeLasts   = time.Second
	standsWithin = 2 * time.Minute
)

const (
	podAnswer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	question  = "GET %s HTTP/1.1\r\nHost: balancer.example:8080\r\nAccept: */*\r\n\r\n"
)

// unguarded has the load balancer speak to a controller's side that has neither tokens nor certificates. One of
// before takes no notice.
var unguarded = []string{"NEMESIS_CLEAR_TEXT=true", "NEMESIS_AUTHENTICATION=optional"}

// balancer is a load balancer that runs, with its own controller's side and connections of clients.
type balancer struct {
	side    *side
	process *exec.Cmd
	clients []*client
}

// client is a connection.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

// requests are some to one load balancer, along these paths by turns.
type requests struct {
	*balancer
	paths []string
	next  atomic.Int64
	each  []float64 // CPU time of a request in each round, in microseconds
}

// whole measures a request through the whole load balancer.
func (r *result) whole(controller, program string) (err error) {
	pod, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = pod.Close() }()
	go servePod(pod)
	many, err := startBalancer(controller, program, pod.Addr().String(), r.Routes)
	if err != nil {
		return err
	}
	defer many.stop()
	few, err := startBalancer(controller, program, pod.Addr().String(), 10)
	if err != nil {
		return err
	}
	defer few.stop()
	all := &requests{balancer: many, paths: paths(r.Routes, r.Routes)}
	ten := &requests{balancer: many, paths: paths(r.Routes, 10)}
	alone := &requests{balancer: few, paths: paths(10, 10)}
	// Those to all come last: what they leave to be reported is theirs.
	for _, turn := range [][]*requests{{ten, alone}, {all}} {
		for range wholeRounds {
			for _, one := range turn {
				if err := one.round(); err != nil {
					return err
				}
			}
		}
	}
	r.WholeUs, r.WholeTenUs, r.WholeAloneUs = all.cost(), ten.cost(), alone.cost()
	return nil
}

// startBalancer starts one of so many routes, and waits until it serves.
func startBalancer(controller, program, pod string, routes int) (_ *balancer, err error) {
	b := &balancer{}
	defer func() {
		if err != nil {
			b.stop()
		}
	}()
	var first answer
	if b.side, first, err = start(controller, routes, "-pod", pod); err != nil {
		return nil, err
	}
	listen, err := free()
	if err != nil {
		return nil, err
	}
	b.process = exec.CommandContext(context.Background(), "taskset", "-c", "0", program, "-data-listen", listen, "-admin-listen", "127.0.0.1:0", //nolint:gosec // who runs the bench names it
		"-peer-listen", "127.0.0.1:0", "-controller-url", first.Address, "-identity", "bench", "-lame-duck", "0s", "-drain-timeout", "1s", "-log-sample", "0", "-log-level", "error")
	b.process.Stderr, b.process.Env = os.Stderr, append(os.Environ(), unguarded...)
	if err := b.process.Start(); err != nil {
		return nil, err
	}
	known := paths(routes, 10)[0]
	for until := time.Now().Add(standsWithin); len(b.clients) < connections; {
		c, err := connect(listen, known)
		switch {
		case err == nil:
			b.clients = append(b.clients, c)
		case time.Now().After(until):
			return nil, fmt.Errorf("the load balancer does not serve after %s: %w", standsWithin, err)
		default:
			time.Sleep(20 * time.Millisecond)
		}
	}
	return b, nil
}

// connect makes a connection over which a first request has been answered.
func connect(address, path string) (*client, error) {
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &client{conn, bufio.NewReader(conn)}
	if err := c.request(path); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// request sends one and waits for the answer.
func (c *client) request(path string) error {
	if _, err := fmt.Fprintf(c.conn, question, path); err != nil {
		return err
	}
	got, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, got.Body); err != nil {
		return err
	}
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", path, got.StatusCode)
	}
	return got.Body.Close()
}

// round sends requests for a while, and notes what one took of the load balancer's CPU.
func (s *requests) round() error {
	before, err := processCPU(s.process.Process.Pid)
	if err != nil {
		return err
	}
	first := s.next.Load()
	faults, began := make(chan error, connections), time.Now()
	for _, c := range s.clients {
		go func() {
			for time.Since(began) < wholeLasts {
				if err := c.request(s.paths[int(s.next.Add(1))%len(s.paths)]); err != nil {
					faults <- err
					return
				}
			}
			faults <- nil
		}()
	}
	for range s.clients {
		err = errors.Join(err, <-faults)
	}
	if err != nil {
		return err
	}
	after, err := processCPU(s.process.Process.Pid)
	s.each = append(s.each, float64((after-before).Nanoseconds())/1e3/float64(s.next.Load()-first))
	return err
}

func (s *requests) cost() float64 {
	slices.Sort(s.each)
	return s.each[len(s.each)/2]
}

func (b *balancer) stop() {
	for _, c := range b.clients {
		_ = c.conn.Close()
	}
	if b.process != nil && b.process.Process != nil {
		_ = b.process.Process.Signal(unix.SIGTERM)
		_ = b.process.Wait()
	}
	if b.side != nil {
		b.side.stop()
	}
}

// servePod answers every request's head until the listener is closed.
func servePod(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			in := bufio.NewReader(c)
			for answerOne(c, in) == nil {
			}
		}()
	}
}

func answerOne(c net.Conn, in *bufio.Reader) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			_, err := io.WriteString(c, podAnswer)
			return err
		}
	}
}

// free is an address of loopback that nobody listens at.
func free() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

var errNoClock = errors.New("the CPU time of the load balancer cannot be read")

// processCPU is what another process has used: the clock of a process, as the kernel makes its number.
func processCPU(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil { //nolint:gosec // G115: as the kernel makes it
		return 0, fmt.Errorf("%w: %w", errNoClock, err)
	}
	return time.Duration(t.Nano()), nil
}
