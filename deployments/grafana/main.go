// Command grafana writes the dashboards of Nemesis as Grafana imports them, one JSON file each, into the
// component that has them as ConfigMaps.
//
//	go run ./grafana                # writes ../kustomize/components/grafana-dashboards/*.json
//	go run ./grafana -out FOLDER    # somewhere else
//
// What the dashboards show stands in controller.go, balancer.go and collector.go; panel.go says how, with
// the types of Grafana's own schema. They are made here, not in Grafana's editor, so that a test can ask of
// each query whether what it names is exported, and with these labels; README.md tells how. The alerts of
// kustomize/components/alerts are tested here too, for the same reason.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "grafana:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("grafana", flag.ExitOnError)
	out := flags.String("out", filepath.Join("..", "kustomize", "components", "grafana-dashboards"), "the folder to write to")
	_ = flags.Parse(args) // it exits by itself
	for name, b := range boards() {
		raw, err := render(b)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(*out, name), raw, 0o644); err != nil { //nolint:gosec // it is committed, for all to read
			return err
		}
	}
	return nil
}

// boards are all dashboards, by the file that they are written to.
func boards() map[string]*builder {
	return map[string]*builder{
		"nemesis-controller.json": controller(), "nemesis-load-balancer.json": balancer(), "nemesis-collectors.json": collectors(),
	}
}

// render writes a dashboard; the same one gives the same bytes.
func render(b *builder) ([]byte, error) {
	built, err := b.Build()
	if err != nil {
		return nil, err
	}
	for i := range built.Panels { // in order, so that a link to a panel stays right
		id := uint32(i + 1)
		if p := built.Panels[i].Panel; p != nil {
			p.Id = &id
		} else {
			built.Panels[i].RowPanel.Id = id
		}
	}
	if err := built.Validate(); err != nil {
		return nil, err
	}
	raw, err := json.MarshalIndent(built, "", " ")
	if err != nil {
		return nil, err
	}
	return append(raw, '\n'), nil
}
