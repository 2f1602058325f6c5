// Command local-kubernetes builds, starts, checks and removes a real Kubernetes on this machine,
// from Go modules and a few packages of the distribution; no container registry, no virtual machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/cluster"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/node"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/progress"
)

const usage = `usage: local-kubernetes COMMAND

  up              build what is missing and start the cluster
  down            remove the cluster and all it made; what was built stays
  status          tell how each part fares; fails if one is not well
  load TAR...     import image archives into the cluster
  kubeconfig      print the path of the administrator's kubeconfig
  kubectl ARG...  run kubectl with that kubeconfig
  build           only build

Everything is kept in NEMESIS_CACHE, or else in nemesis in the user's cache directory.
`

func main() {
	if len(os.Args) == 2 && os.Args[1] == node.Argument {
		if err := node.Main(); err != nil {
			fmt.Fprintln(os.Stderr, "local-kubernetes:", err)
		}
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "local-kubernetes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errors.New("no command given")
	}
	place, err := layout.FromEnvironment()
	if err != nil {
		return err
	}
	local := cluster.New(place, findModules(), progress.New(os.Stdout))
	switch command, rest := arguments[0], arguments[1:]; command {
	case "up":
		if err := refuseForeign(place); err != nil {
			return err
		}
		return local.Up(ctx)
	case "down":
		return local.Down()
	case "status":
		return local.Status(ctx)
	case "load":
		return local.Load(ctx, rest)
	case "build":
		return local.Build(ctx)
	case "kubeconfig":
		fmt.Println(place.Kubeconfig())
		return nil
	case "kubectl":
		return kubectl(place, rest)
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	default:
		fmt.Fprint(os.Stderr, usage)
		return fmt.Errorf("there is no command %q", command)
	}
}

// refuseForeign keeps a cluster from being started that nobody asked for: who sets KUBECONFIG wants
// to use that one.
func refuseForeign(place layout.Layout) error {
	set := os.Getenv("KUBECONFIG")
	if set == "" || set == place.Kubeconfig() {
		return nil
	}
	return fmt.Errorf("KUBECONFIG is set to %s, so that cluster is meant; unset it to start a local one", set)
}

// kubectl becomes kubectl.
func kubectl(place layout.Layout, arguments []string) error {
	if err := os.Setenv("KUBECONFIG", place.Kubeconfig()); err != nil {
		return err
	}
	program := place.Bin("kubectl")
	err := syscall.Exec(program, append([]string{"kubectl"}, arguments...), os.Environ()) //nolint:gosec // it is meant to run whatever kubectl is told
	if err != nil {
		return fmt.Errorf("%s: %w; `up` builds it", program, err)
	}
	return nil
}

// findModules looks for the nested modules upwards from the working directory and from this
// program: it is started from the checkout, or lies in its build folder.
func findModules() string {
	var starts []string
	if directory, err := os.Getwd(); err == nil {
		starts = append(starts, directory)
	}
	if program, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(program))
	}
	for _, start := range starts {
		for directory := start; ; directory = filepath.Dir(directory) {
			for _, candidate := range []string{directory, filepath.Join(directory, "local-kubernetes"), filepath.Join(directory, "deployments", "local-kubernetes")} {
				if _, err := os.Stat(filepath.Join(candidate, "kubernetes", "go.mod")); err == nil {
					return candidate
				}
			}
			if directory == filepath.Dir(directory) {
				break
			}
		}
	}
	return ""
}
