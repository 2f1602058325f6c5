//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/controller"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// side is the controller's.
type side struct {
	to      io.WriteCloser
	answers *bufio.Reader
	process *exec.Cmd
}

// answer is its answer to a command.
type answer struct {
	Address string           `json:"address"`
	Version string           `json:"version"`
	Bytes   int64            `json:"bytes"`
	CPU     float64          `json:"cpu"`
	Changes map[string]int64 `json:"changes"`
}

func start(program string, routes int, more ...string) (*side, answer, error) {
	process := exec.CommandContext(context.Background(), program, append([]string{"-routes", strconv.Itoa(routes)}, more...)...) //nolint:gosec // who runs the bench names it
	process.Stderr = os.Stderr
	to, err := process.StdinPipe()
	if err != nil {
		return nil, answer{}, err
	}
	from, err := process.StdoutPipe()
	if err != nil {
		return nil, answer{}, err
	}
	if err := process.Start(); err != nil {
		return nil, answer{}, err
	}
	s := &side{to, bufio.NewReader(from), process}
	first, err := s.answer()
	return s, first, err
}

func (s *side) answer() (a answer, err error) {
	line, err := s.answers.ReadBytes('\n')
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(line, &a)
}

func (s *side) do(command string, parts ...any) (answer, error) {
	if _, err := fmt.Fprintf(s.to, command+"\n", parts...); err != nil {
		return answer{}, err
	}
	return s.answer()
}

func (s *side) stop() {
	_ = s.to.Close()
	_ = s.process.Wait()
}

// watched notes when each version was followed.
type watched struct {
	*dispatch.Dispatcher
	mu       sync.Mutex
	followed []moment
	moved    chan struct{}
}

type moment struct {
	version string
	at      int64
}

func (w *watched) Apply(u routing.Update) []routing.Application {
	lost := w.Dispatcher.Apply(u)
	w.mu.Lock()
	w.followed = append(w.followed, moment{u.Version, time.Now().UnixNano()})
	w.mu.Unlock()
	select {
	case w.moved <- struct{}{}:
	default:
	}
	return lost
}

var errBehind = errors.New("the routes are not followed within a minute")

// reach waits until a version is followed.
func (w *watched) reach(version string) error {
	for patience := time.After(time.Minute); w.Version() != version; {
		select {
		case <-w.moved:
		case <-patience:
			return fmt.Errorf("%w: %s instead of %s", errBehind, w.Version(), version)
		}
	}
	return nil
}

// idle is what a dispatcher does outside, which is nothing here.
type idle struct{}

func (idle) Probe(*dispatch.Pod, <-chan struct{}) {}
func (idle) Wake(*dispatch.StartRequest)          {}

func newBalancer() *watched {
	return &watched{moved: make(chan struct{}, 1), Dispatcher: dispatch.New(dispatch.Options{
		RoomRequests: 100, RoomBytes: 1 << 20, Now: time.Now, Intn: rand.IntN, Chance: rand.Float64, NewID: func() (id [16]byte) { return id },
		Prober: idle{}, Waker: idle{}, ReportSoon: func() {}, Woken: func(routing.Application, dispatch.WakeUp) {},
	})}
}

// measure measures all with so many routes.
func measure(program string, routes, rate, seconds int) (r result, err error) {
	s, first, err := start(program, routes)
	if err != nil {
		return r, err
	}
	defer s.stop()
	client, err := controller.New(controller.Options{
		URL: first.Address, Identity: "bench", StartedAt: time.Now(), Log: slog.New(slog.DiscardHandler),
		Tracer: noop.NewTracerProvider().Tracer(""), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		return r, err
	}
	w := newBalancer()
	ctx, end := context.WithCancel(context.Background())
	var following sync.WaitGroup
	defer following.Wait()
	defer end()
	following.Go(func() { client.FollowRoutes(ctx, w, tuning.NewHolder(func(tuning.Settings) {})) })
	if err := w.reach(first.Version); err != nil {
		return r, err
	}
	now, err := s.do("state")
	if err != nil {
		return r, err
	}
	r = result{Routes: routes, ChangesPerSecond: rate, BytesFirst: now.Bytes}
	if err := r.requests(w); err != nil {
		return r, err
	}
	if err := r.changes(s, w, rate, seconds); err != nil {
		return r, err
	}
	if r.BytesNewLeader, err = newLeader(s, w, 0); err != nil {
		return r, err
	}
	r.BytesNewLeaderTen, err = newLeader(s, w, 10)
	return r, err
}

// How often the way of a request is measured, and with how many requests. The least of the CPU time is what
// it costs: a machine that does something else beside makes it more, never less.
const (
	rounds   = 30
	perRound = 20_000
)

// requests measures the way of a request to its pod, of all routes and of ten of them by turns.
func (r *result) requests(w *watched) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all, ten := paths(r.Routes, r.Routes), paths(r.Routes, 10)
	r.MatchNs, r.MatchTenNs, r.RequestNs, r.RequestTenNs = math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, math.MaxFloat64
	for range rounds {
		for _, m := range []struct {
			least *float64
			paths []string
			way   func(path string, now time.Time) error
		}{{&r.MatchNs, all, w.match}, {&r.MatchTenNs, ten, w.match}, {&r.RequestNs, all, w.request}, {&r.RequestTenNs, ten, w.request}} {
			began, used := time.Now(), threadCPU()
			for i := range perRound {
				if err := m.way(m.paths[i%len(m.paths)], began); err != nil {
					return err
				}
			}
			*m.least = min(*m.least, float64((threadCPU()-used).Nanoseconds())/perRound)
		}
	}
	r.MatchAllocations = int64(testing.AllocsPerRun(100, func() { _ = w.match(all[0], time.Time{}) }))
	return nil
}

func (w *watched) match(path string, _ time.Time) error {
	_, err := w.Match("balancer.example:8080", path)
	return err
}

func (w *watched) request(path string, now time.Time) error {
	m, err := w.Match("balancer.example:8080", path)
	if err != nil {
		return err
	}
	var v dispatch.Visit
	waits, err := v.Arrive(m.Target, dispatch.Arrival{}, now)
	if waits || err != nil {
		return fmt.Errorf("%s: no pod is free: %w", path, err)
	}
	v.Answered(200, now)
	v.End(dispatch.Outcome{Status: 200}, now)
	return nil
}

// paths are requests for so many of the applications, in an order that no cache foresees.
func paths(routes, apps int) []string {
	list := make([]string, apps)
	for i := range list {
		list[i] = fmt.Sprintf("/model-%05d/v1/chat/completions", i*(routes/apps))
	}
	rand.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	return list
}

// changes measures what it costs to follow changes.
func (r *result) changes(s *side, w *watched, rate, seconds int) error {
	before, err := s.do("state")
	if err != nil {
		return err
	}
	used := cpu()
	after, err := s.do("change %d %d", rate, seconds)
	if err != nil {
		return err
	}
	if err := w.reach(after.Version); err != nil {
		return err
	}
	r.BalancerCore = (cpu() - used) / float64(seconds)
	r.ControllerCore = (after.CPU - before.CPU) / float64(seconds)
	r.BytesPerSecond = float64(after.Bytes-before.Bytes) / float64(seconds)
	delays := w.delays(after.Changes)
	r.DelayMsMedian, r.DelayMsP99 = delays[len(delays)/2], delays[len(delays)*99/100]
	return nil
}

// delays are how long it took until each change was followed, in milliseconds, ordered.
func (w *watched) delays(changes map[string]int64) []float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	number := func(version string) int {
		_, n, _ := strings.Cut(version, ".")
		i, _ := strconv.Atoi(n)
		return i
	}
	list := make([]float64, 0, len(changes))
	for version, at := range changes {
		i, _ := slices.BinarySearchFunc(w.followed, number(version), func(m moment, n int) int { return number(m.version) - n })
		list = append(list, float64(w.followed[i].at-at)/1e6)
	}
	slices.Sort(list)
	return list
}

// newLeader has another controller lead, to whom some routes look otherwise, and returns what it sent until
// it was followed.
func newLeader(s *side, w *watched, different int) (int64, error) {
	before, err := s.do("state")
	if err != nil {
		return 0, err
	}
	leads, err := s.do("lead epoch%d %d", before.Bytes, different)
	if err != nil {
		return 0, err
	}
	if err := w.reach(leads.Version); err != nil {
		return 0, err
	}
	after, err := s.do("state")
	return after.Bytes - before.Bytes, err
}

// cpu is what this process has used, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// threadCPU is what this thread has used.
func threadCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
