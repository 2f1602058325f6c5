package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// target is one fuzz target.
type target struct {
	module string // its folder
	path   string // its package's import path
	name   string
}

// find asks the go command for the targets of all modules.
func find(ctx context.Context, o options) ([]target, error) {
	var all []target
	for _, module := range o.modules {
		folder, err := filepath.Abs(module)
		if err != nil {
			return nil, err
		}
		command := exec.CommandContext(ctx, "go", "test", "-list", "^Fuzz", "-json", "./...")
		command.Dir = folder
		var said bytes.Buffer
		command.Stderr = &said
		out, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("list the targets of %s: %w\n%s", module, err, bytes.TrimSpace(said.Bytes()))
		}
		some, err := readList(folder, bytes.NewReader(out))
		if err != nil {
			return nil, fmt.Errorf("list the targets of %s: %w", module, err)
		}
		all = append(all, some...)
	}
	names := regexp.MustCompile(o.names) // validated
	var chosen []target
	for _, t := range all {
		if names.MatchString(t.name) {
			chosen = append(chosen, t)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("there is no such target")
	}
	return chosen, nil
}

// readList reads what the go command says in JSON: each target's name is a line of output.
func readList(module string, from io.Reader) ([]target, error) {
	var all []target
	for lines := json.NewDecoder(from); ; {
		var event struct{ Action, Package, Output string }
		if err := lines.Decode(&event); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		name := strings.TrimSpace(event.Output)
		if event.Action == "output" && strings.HasPrefix(name, "Fuzz") && !strings.ContainsAny(name, " \t") {
			all = append(all, target{module: module, path: event.Package, name: name})
		}
	}
}
