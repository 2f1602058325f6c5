package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/node"
)

// metricsPatience is how long the metrics API may have nothing to tell after a start.
const metricsPatience = 90 * time.Second

// errNotUp is the answer about a cluster that does not run.
var errNotUp = errors.New("there is no running cluster")

// Status prints how each part fares; it fails when one is not well.
func (c *Cluster) Status(ctx context.Context) error {
	up := c.running()
	if up == nil {
		return errNotUp
	}
	results, err := c.ask(ctx, up)
	if err != nil {
		return err
	}
	restarts := c.partStates()
	bad := 0
	for _, one := range results {
		text := "well"
		switch {
		case one.err == nil:
		case one.name == metricsCheck && time.Since(up.Started) < metricsPatience:
			text = "not yet: the first samples take half a minute"
		default:
			bad++
			text = "NOT WELL: " + one.err.Error()
		}
		if state, ok := restarts[one.name]; ok && state.Restarts > 0 {
			text += fmt.Sprintf(" (started again %d times; the last end: %s)", state.Restarts, state.LastExit)
		}
		fmt.Printf("%-26s %s\n", one.name, text)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d checks fail; logs are in %s", bad, len(results), c.layout.Cluster("logs"))
	}
	return nil
}

type result struct {
	name string
	err  error
}

// ask makes all checks at the same time.
func (c *Cluster) ask(ctx context.Context, up *record) ([]result, error) {
	api, err := c.client()
	if err != nil {
		return nil, err
	}
	checks := c.checks(api, up.Node.PID)
	results := make([]result, len(checks))
	var waiting sync.WaitGroup
	for i, one := range checks {
		waiting.Go(func() { results[i] = result{name: one.name, err: one.ask(ctx)} })
	}
	waiting.Wait()
	return results, nil
}

// examine gives the faults of a cluster that should be well.
func (c *Cluster) examine(ctx context.Context, up *record) ([]error, error) {
	results, err := c.ask(ctx, up)
	if err != nil {
		return nil, err
	}
	var faults []error
	for _, one := range results {
		// The metrics server starts long after the rest, and nothing depends on it.
		if one.err != nil && one.name != metricsCheck {
			faults = append(faults, fmt.Errorf("%s: %w", one.name, one.err))
		}
	}
	return faults, nil
}

// partStates reads what the node says of its parts.
func (c *Cluster) partStates() map[string]node.PartState {
	states := map[string]node.PartState{}
	raw, err := os.ReadFile(c.layout.Cluster("parts.json"))
	if err == nil {
		_ = json.Unmarshal(raw, &states)
	}
	return states
}
