// Package node is the cluster's one machine: a set of namespaces (processes, mounts, network, host
// name, IPC) whose first process is this package's Main. Everything that Kubernetes does to a
// machine (mounts, interfaces, nftables, sysctls, files in /run) happens in there, and the kernel
// removes it all when the first process ends, however it ends. That is what makes `down` reliable
// after any crash.
//
// The first process starts the parts, collects every process that ends, keeps the logs bounded and
// restarts parts that end. It knows nothing of Kubernetes.
package node

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// Argument is the program's first argument when it is started as the first process of a node.
const Argument = "node-first-process"

// File descriptors that the launcher passes on.
const (
	commandsFD = 3
	eventsFD   = 4
)

// Main runs the node until it is ended. It must be the first process of its namespaces.
func Main() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("%s is started by the launcher only", Argument)
	}
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, unix.SIGTERM)
	go func() {
		<-terminate
		os.Exit(0)
	}()
	events := &eventWriter{encoder: json.NewEncoder(os.NewFile(eventsFD, "events"))}
	parts := newParts(events)
	go parts.reap()
	return serve(os.NewFile(commandsFD, "commands"), parts, events)
}

// serve obeys the launcher. When the launcher is gone before it has detached, the node ends too: a
// cluster that was started half is of no use to anybody.
func serve(commands io.Reader, parts *parts, events *eventWriter) error {
	decoder := json.NewDecoder(bufio.NewReader(commands))
	for {
		var next command
		if err := decoder.Decode(&next); err != nil {
			return fmt.Errorf("the launcher is gone before the cluster was up: %w", err)
		}
		switch {
		case next.Setup != nil:
			if err := setUp(*next.Setup); err != nil {
				events.send(Event{Error: err.Error()})
				return err
			}
			parts.stateFile = next.Setup.State
			events.send(Event{})
		case next.Start != nil:
			parts.start(*next.Start)
		case next.Detach:
			parts.keepRunning()
			select {}
		}
	}
}

// eventWriter writes events one at a time. Nobody reading is no error: the launcher may be gone.
type eventWriter struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func (w *eventWriter) send(event Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.encoder.Encode(event)
}
