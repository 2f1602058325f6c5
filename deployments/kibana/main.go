// Command kibana writes the dashboards of Nemesis as Kibana imports them: nemesis.ndjson, one saved
// object a line.
//
//	go run ./kibana                # writes kibana/nemesis.ndjson
//	go run ./kibana -out FILE      # somewhere else; - for standard output
//
// What the dashboards show stands in traffic.go, wakeups.go, scaling.go, clients.go, errors.go and
// pipeline.go; of it column.go, chart.go, dashboard.go and object.go make what Kibana 8.17 has. That
// is the oldest one that can read it: newer ones bring older objects up to date themselves.
//
// Dashboards are made here, not in Kibana's editor, so that a test can ask of each number that they
// show whether its field exists and whether Elasticsearch computes it; README.md tells how.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kibana:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("kibana", flag.ExitOnError)
	out := flags.String("out", filepath.Join("kibana", "nemesis.ndjson"), "the file to write; - for standard output")
	_ = flags.Parse(args) // it exits by itself
	raw, err := render(everything())
	if err != nil {
		return err
	}
	if *out == "-" {
		_, err = stdout.Write(raw)
		return err
	}
	return os.WriteFile(*out, raw, 0o644) //nolint:gosec // it is committed, for all to read
}

// everything is all that is imported, what is pointed to before what points to it.
func everything() []object {
	return []object{
		tag(), access.object(), scaling.object(), both.object(), failedRequests.object(), wakeUps.object(), decisions.object(),
		traffic().object(), wakeUpsDashboard().object(), scalingDashboard().object(), clients().object(), failures().object(), pipeline().object(),
	}
}

// render writes objects one a line; the same objects give the same bytes.
func render(objects []object) ([]byte, error) {
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	lines.SetEscapeHTML(false)
	for _, o := range objects {
		if err := lines.Encode(o); err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Type, o.ID, err)
		}
	}
	return out.Bytes(), nil
}
