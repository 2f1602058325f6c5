package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/process"
)

// Node is the launcher's side of a node that is coming up.
type Node struct {
	Identity process.Identity

	commands *os.File
	encoder  *json.Encoder
	// Events tells how the node's parts fare; it is closed when the node is gone.
	Events <-chan Event
}

// Launch starts the first process of a new node, with the running program itself. Its own output
// goes to log. The node ends with the launcher unless Detach is called.
func Launch(log string) (*Node, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // a log of the cluster
	if err != nil {
		return nil, err
	}
	defer output.Close()
	commandReader, commandWriter, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer commandReader.Close()
	eventReader, eventWriter, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, commandWriter.Close())
	}
	defer eventWriter.Close()
	abandon := func(err error) (*Node, error) {
		return nil, errors.Join(err, commandWriter.Close(), eventReader.Close()) // which ends the node
	}

	first := exec.Command("/proc/self/exe", Argument) //nolint:noctx // the node outlives its launcher
	first.Dir = "/"
	first.Stdout, first.Stderr = output, output
	first.ExtraFiles = []*os.File{commandReader, eventWriter}
	first.SysProcAttr = &unix.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	if err := first.Start(); err != nil {
		return abandon(fmt.Errorf("new namespaces for the node: %w", err))
	}
	identity, err := process.Of(first.Process.Pid)
	if err != nil {
		return abandon(err)
	}
	go func() { _ = first.Wait() }()
	return &Node{
		Identity: identity,
		commands: commandWriter,
		encoder:  json.NewEncoder(commandWriter),
		Events:   readEvents(eventReader),
	}, nil
}

func readEvents(reader *os.File) <-chan Event {
	events := make(chan Event, 64)
	go func() {
		defer close(events)
		defer reader.Close()
		decoder := json.NewDecoder(reader)
		for {
			var event Event
			if decoder.Decode(&event) != nil {
				return
			}
			events <- event
		}
	}()
	return events
}

// SetUp prepares the node and waits until it is ready for its first part.
func (n *Node) SetUp(setup Setup) error {
	if err := n.encoder.Encode(command{Setup: &setup}); err != nil {
		return fmt.Errorf("the node is gone: %w", err)
	}
	answer, ok := <-n.Events
	if !ok {
		return errors.New("the node's first process ended")
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// Start asks the node to start a part. That it failed or ended later arrives as an event.
func (n *Node) Start(part Part) error {
	if err := n.encoder.Encode(command{Start: &part}); err != nil {
		return fmt.Errorf("start %s: the node is gone: %w", part.Name, err)
	}
	return nil
}

// Detach lets the node live on without the launcher.
func (n *Node) Detach() error {
	if err := n.encoder.Encode(command{Detach: true}); err != nil {
		return fmt.Errorf("the node is gone: %w", err)
	}
	return n.commands.Close()
}
