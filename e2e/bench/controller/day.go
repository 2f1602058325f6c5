package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/apiserver"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
)

// day has the history of a day be there for the next controller that leads, as one before it would have kept it: of
// those that will be awake one in which no minute is like the one before, of the others one that mostly sleeps.
func (b *bench) day(ctx context.Context) error {
	if b.build.history == "" {
		return nil
	}
	b.say("%d applications: the history of a day", b.made)
	var names bytes.Buffer
	for kind, apps := range map[string][]objects.App{"busy": b.awake, "asleep": b.asleep} {
		for _, a := range apps {
			fmt.Fprintln(&names, a.Namespace, a.Name, kind)
		}
	}
	program := exec.CommandContext(ctx, b.build.history) //nolint:gosec // G204: a program of the benchmark
	program.Stdin, program.Stderr = &names, os.Stderr
	out, err := program.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", b.build.history, err)
	}
	const path = "/api/v1/namespaces/" + objects.System + "/configmaps"
	for list := json.NewDecoder(bytes.NewReader(out)); ; {
		var m json.RawMessage
		var named struct{ Metadata struct{ Name string } }
		if err := list.Decode(&m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := json.Unmarshal(m, &named); err != nil {
			return err
		}
		_, err := b.server.Do(ctx, apiserver.Call{Method: "POST", Path: path, Body: m})
		if apiserver.IsStatus(err, 409) { // of a smaller size
			err = b.server.Patch(ctx, path+"/"+named.Metadata.Name, m)
		}
		if err != nil {
			return err
		}
	}
}
