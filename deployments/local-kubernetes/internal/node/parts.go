package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Restarts of a part that ends: at once the first time, then ever later. A part that lived for
// steadyAfter has proven itself and starts over with the shortest pause.
const (
	firstPause  = 200 * time.Millisecond
	longestWait = 30 * time.Second
	steadyAfter = time.Minute
)

// parts holds the programs of the node.
type parts struct {
	events *eventWriter

	mu        sync.Mutex
	byName    map[string]*runningPart
	restarts  bool // set once the launcher has detached
	stateFile string
}

type runningPart struct {
	part    Part
	log     *boundedLog
	pid     int // 0 when it does not run
	started time.Time
	pause   time.Duration
	state   PartState
}

func newParts(events *eventWriter) *parts {
	return &parts{events: events, byName: map[string]*runningPart{}}
}

// keepRunning makes parts that end start again. While the cluster comes up they do not: there, a
// part that ends is a fault to report.
func (p *parts) keepRunning() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restarts = true
}

func (p *parts) start(part Part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	running := &runningPart{part: part, log: newBoundedLog(part.Log)}
	p.byName[part.Name] = running
	if err := p.launch(running); err != nil {
		p.events.send(Event{Part: part.Name, Error: err.Error()})
	}
	p.writeState()
}

// launch starts the program; p.mu is held, so that the program cannot be collected before its
// number is known.
func (p *parts) launch(running *runningPart) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	output, input, err := os.Pipe()
	if err != nil {
		return err
	}
	defer input.Close()
	started, err := os.StartProcess(running.part.Args[0], running.part.Args, &os.ProcAttr{
		Env:   running.part.Env,
		Files: []*os.File{null, input, input},
		Sys:   &unix.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return errors.Join(err, output.Close())
	}
	running.pid, running.started = started.Pid, time.Now()
	running.state.Running = true
	_ = started.Release() // reap collects it
	go func() {
		defer output.Close()
		_, _ = io.Copy(running.log, output)
	}()
	return nil
}

// reap collects every process that ends: the parts, and the orphans that a first process inherits.
func (p *parts) reap() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	for range ended {
		for p.reapOne() {
			continue
		}
	}
}

func (p *parts) reapOne() (more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var status unix.WaitStatus
	pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
	if errors.Is(err, unix.EINTR) {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	for _, running := range p.byName {
		if running.pid == pid {
			p.ended(running, describe(status))
		}
	}
	return true
}

func (p *parts) ended(running *runningPart, exit string) {
	lived := time.Since(running.started)
	running.pid = 0
	running.state.Running = false
	running.state.LastExit = fmt.Sprintf("%s, %s after its start", exit, lived.Round(time.Millisecond))
	fmt.Fprintf(running.log, "--- %s ended: %s\n", running.part.Name, running.state.LastExit)
	p.events.send(Event{Part: running.part.Name, Exit: running.state.LastExit})
	p.writeState()
	if p.restarts {
		running.pause = nextPause(running.pause, lived)
		time.AfterFunc(running.pause, func() { p.restart(running) })
	}
}

func (p *parts) restart(running *runningPart) {
	p.mu.Lock()
	defer p.mu.Unlock()
	running.state.Restarts++
	if err := p.launch(running); err != nil {
		running.state.LastExit = err.Error()
		running.pause = nextPause(running.pause, 0)
		time.AfterFunc(running.pause, func() { p.restart(running) })
	}
	p.writeState()
}

// nextPause is how long to wait before a part is started again.
func nextPause(last, lived time.Duration) time.Duration {
	if last == 0 || lived >= steadyAfter {
		return firstPause
	}
	return min(2*last, longestWait)
}

func describe(status unix.WaitStatus) string {
	if status.Signaled() {
		return "killed by " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// writeState replaces the state file, so that readers never see half of it. It is for people; that
// it cannot be written must not take the cluster down.
func (p *parts) writeState() {
	states := map[string]PartState{}
	for name, running := range p.byName {
		states[name] = running.state
	}
	encoded, err := json.MarshalIndent(states, "", "  ")
	if err != nil {
		return
	}
	fresh := p.stateFile + ".new"
	if os.WriteFile(fresh, encoded, 0o600) == nil {
		_ = os.Rename(fresh, p.stateFile)
	}
}
