//go:build unix

// Command benchroutes is the controller's side of `make bench-routes`: the real handler over routes that
// nobody but itself changes. It takes commands from its standard input, and answers each with a line of
// JSON. The load balancer's side, which measures, starts it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/scaling"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchroutes:", err)
		os.Exit(1)
	}
}

// answer is what a command has come to.
type answer struct {
	Address string  `json:"address,omitempty"`
	Version string  `json:"version"`
	Bytes   int64   `json:"bytes"` // sent so far
	CPU     float64 `json:"cpu"`   // seconds so far
	// Changes are when each version was made, as nanoseconds of the clock.
	Changes map[string]int64 `json:"changes,omitempty"`
}

func run() error {
	routes := flag.Int("routes", 10, "how many there are")
	pod := flag.String("pod", "", "where all pods are; empty: each somewhere of its own, where nobody answers")
	flag.Parse()
	s := &server{more: make([]bool, *routes), pod: *pod}
	s.lead("epoch0", 0)
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = web.Serve(&counted{listener, &s.bytes}) }()
	if err := s.say(answer{Address: "http://" + listener.Addr().String()}); err != nil {
		return err
	}
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		did, err := s.do(commands.Text())
		if err != nil {
			return err
		}
		if err := s.say(did); err != nil {
			return err
		}
	}
	return nil
}

// server is one controller after another.
type server struct {
	bytes atomic.Int64
	life  atomic.Pointer[life]
	more  []bool // of each application: it has a pod more
	turn  int    // how often one has changed
	pod   string // where all pods are; "" is each somewhere of its own
}

// life is one of them.
type life struct {
	fleet   *fleet.Fleet
	handler http.Handler
	over    chan struct{}
	version string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.life.Load().handler.ServeHTTP(w, r)
}

func (s *server) say(a answer) error {
	l := s.life.Load()
	u, _ := l.fleet.Routes(l.version)
	l.version = u.Version
	a.Version, a.Bytes, a.CPU = u.Version, s.bytes.Load(), cpu()
	return json.NewEncoder(os.Stdout).Encode(a)
}

// do does what a command says: "change RATE SECONDS", "lead EPOCH DIFFERENT" or "state".
func (s *server) do(command string) (answer, error) {
	var rate, seconds, different int
	var epoch string
	switch {
	case command == "state":
		return answer{}, nil
	case strings.HasPrefix(command, "change "):
		if _, err := fmt.Sscanf(command, "change %d %d", &rate, &seconds); err != nil {
			return answer{}, err
		}
		return s.change(rate, time.Duration(seconds)*time.Second), nil
	}
	if _, err := fmt.Sscanf(command, "lead %s %d", &epoch, &different); err != nil {
		return answer{}, err
	}
	before := s.life.Load()
	s.lead(epoch, different)
	close(before.over)
	return answer{}, nil
}

// lead begins the life of a controller that sees what the one before saw, but for some routes.
func (s *server) lead(epoch string, different int) {
	l := &life{fleet: fleet.New(epoch), over: make(chan struct{})}
	for i := range s.more {
		if i < different {
			s.more[i] = !s.more[i]
		}
		l.fleet.Observe(s.application(i), time.Now())
	}
	ports := ports{over: l.over}
	handler, err := httpapi.New(httpapi.Options{
		Fleet: l.fleet, Leadership: ports, Meter: ports, Log: slog.New(slog.DiscardHandler), Missing: func() string { return "" }, Ending: l.over,
	})
	if err != nil {
		panic(err)
	}
	l.handler = handler
	s.life.Store(l)
}

// change changes so many routes a second, one after another.
func (s *server) change(rate int, lasts time.Duration) answer {
	l, changes := s.life.Load(), map[string]int64{}
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	for range int(lasts.Seconds()) * rate {
		<-ticker.C
		now := time.Now()
		i := s.turn % len(s.more)
		s.more[i] = !s.more[i]
		s.turn++
		l.fleet.Observe(s.application(i), now)
		u, _ := l.fleet.Routes(l.version)
		l.version = u.Version
		changes[u.Version] = now.UnixNano()
	}
	return answer{Changes: changes}
}

// application is one of them, with a pod more or less.
func (s *server) application(i int) fleet.Observation {
	name := fmt.Sprintf("model-%05d", i)
	began := time.Unix(1e9, 0)
	o := fleet.Observation{
		Key: fleet.Key{Namespace: fmt.Sprintf("team-%02d", i%100), Deployment: name}, Autoscaler: name, Since: began,
		Address:    fleet.Address{Prefix: "/" + name, StripPrefix: true, Service: name + ".svc:8080"},
		Spec:       scaling.Spec{MaxReplicas: 3, WakeUpTimeout: time.Minute},
		Deployment: fleet.Deployment{Found: true, Replicas: 2, Created: began},
	}
	for k := range 2 {
		if k == 0 || s.more[i] {
			address := s.pod
			if address == "" {
				address = fmt.Sprintf("10.%d.%d.%d:8080", k, i/250, i%250)
			}
			o.Pods = append(o.Pods, fleet.Pod{
				Name: fmt.Sprintf("%s-7d4b9c-x2x4%d", name, k), Address: address, Ready: true, CreatedAt: began, ReadyAt: began,
				Probeable: true, Probes: []fleet.Probe{{HTTP: true, Port: 8080, Scheme: "HTTP", Path: "/healthz", Timeout: time.Second}},
			})
		}
	}
	return o
}

// ports are what the routes need of the rest of a controller that leads.
type ports struct {
	httpapi.Meter
	over chan struct{}
}

func (p ports) Leader() (string, <-chan struct{}) { return "", p.over }
func (p ports) Polling(int)                       {}

// counted counts what is sent.
type counted struct {
	net.Listener
	bytes *atomic.Int64
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	return &countedConn{conn, c.bytes}, err
}

type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// cpu is what this process has used.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
