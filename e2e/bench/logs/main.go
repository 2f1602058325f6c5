// Command logs measures what the log costs, of two builds by turns in one run: the one of an earlier
// commit, and the one of this working tree. Each is measured by the same program, the load balancer's
// own test TestBenchLogs, on the same real Elasticsearch (NEMESIS_ELASTICSEARCH_URL), so that what
// counts is how they differ: the figures of one alone change with the machine and what else it does.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/summary"
)

// The commit that is compared with: the last one before the log was made cheaper. What its packages
// were called stands in base.go.txt.
const baseCommit = "5990f83"

//go:embed base.go.txt
var baseAdapter []byte

const (
	balancer = "services/load-balancer"
	measures = balancer + "/internal/app/bench_logs_test.go"
	waits    = "pkg/testwait/testwait.go" // how the measurement waits; the earlier build had no such package
	adapts   = balancer + "/internal/app/bench_logs_build_test.go"
)

func main() {
	rounds := flag.Int("rounds", 3, "how often each build is measured")
	out := flag.String("out", "build/bench/logs.json", "where the figures go")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench logs:", err)
		os.Exit(1) //nolint:gocritic // exitAfterDefer: the process ends
	}
}

// build is a program that measures one build, and the folder it runs in.
type build struct{ name, program, folder string }

func run(ctx context.Context, rounds int, out string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	work := filepath.Join(root, "build", "bench")
	if err := os.MkdirAll(work, 0o750); err != nil {
		return err
	}
	tree := filepath.Join(work, "base")
	if err := checkOut(ctx, root, tree); err != nil {
		return err
	}
	builds := []build{{name: "base", folder: tree}, {name: "this", folder: root}}
	for i := range builds {
		b := &builds[i]
		b.program = filepath.Join(work, b.name+".test")
		if err := command(ctx, filepath.Join(b.folder, balancer), "go", "test", "-c", "-tags", "bench", "-o", b.program, "./internal/app"); err != nil {
			return fmt.Errorf("build %s: %w", b.name, err)
		}
	}
	all := map[string][]measured{}
	for round := range rounds {
		first := rand.IntN(2)
		for _, i := range [2]int{first, 1 - first} {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, rounds, builds[i].name)
			m, err := builds[i].measure(ctx, work)
			if err != nil {
				return fmt.Errorf("measure %s: %w", builds[i].name, err)
			}
			all[builds[i].name] = append(all[builds[i].name], m)
		}
	}
	rows := compare(all["base"], all["this"])
	show(os.Stdout, rows)
	return summary.Write(out, map[string]any{
		"elasticsearch": os.Getenv("NEMESIS_ELASTICSEARCH_VERSION"), "base_commit": baseCommit, "rows": rows, "rounds": all,
	})
}

// checkOut brings the base commit into a folder of its own, with this tree's measurement in it.
func checkOut(ctx context.Context, root, tree string) error {
	if _, err := os.Stat(tree); err != nil {
		if err := command(ctx, root, "git", "worktree", "add", "--force", "--detach", tree, baseCommit); err != nil {
			return fmt.Errorf("check out %s: %w; a shallow clone lacks it, 'git fetch --unshallow' brings it", baseCommit, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, measures)) //nolint:gosec // G304: a file of this repository
	if err != nil {
		return err
	}
	moved := strings.ReplaceAll(string(text), "/internal/log/", "/internal/")                 // there were no wings
	if err := os.WriteFile(filepath.Join(tree, measures), []byte(moved), 0o600); err != nil { //nolint:gosec // G703: both are of this repository
		return err
	}
	if err := os.MkdirAll(filepath.Join(tree, filepath.Dir(waits)), 0o750); err != nil {
		return err
	}
	if text, err = os.ReadFile(filepath.Join(root, waits)); err != nil { //nolint:gosec // G304: a file of this repository
		return err
	}
	if err := os.WriteFile(filepath.Join(tree, waits), text, 0o600); err != nil { //nolint:gosec // G703: likewise
		return err
	}
	return os.WriteFile(filepath.Join(tree, adapts), baseAdapter, 0o600)
}

func (b build) measure(ctx context.Context, work string) (m measured, err error) {
	result := filepath.Join(work, b.name+".json")
	c := exec.CommandContext(ctx, b.program, "-test.run", "TestBenchLogs", "-test.timeout", "9m") //nolint:gosec // G204: we have built it
	c.Dir, c.Stderr = filepath.Join(b.folder, balancer, "internal", "app"), os.Stderr
	c.Env = append(os.Environ(), "NEMESIS_BENCH_OUT="+result)
	if said, err := c.Output(); err != nil {
		return m, fmt.Errorf("%w\n%s", err, said)
	}
	raw, err := os.ReadFile(result) //nolint:gosec // G304: it was just written
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(raw, &m)
}

func command(ctx context.Context, folder, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...) //nolint:gosec // G204: the callers above name it
	c.Dir, c.Stdout, c.Stderr = folder, os.Stderr, os.Stderr
	c.Env = append(os.Environ(), "GOWORK=off")
	return c.Run()
}
