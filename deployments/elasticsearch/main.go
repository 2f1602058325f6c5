// Command elasticsearch runs Elastic's own server for tests and the demo, without Docker: the
// distribution that Elastic publishes to Maven Central for integration tests, on loopback, as a user
// that is not root, in a folder that `down` removes. README.md says what that distribution lacks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

const usage = `usage: elasticsearch [-home DIR] COMMAND

  versions   the versions that can run here, one a line; on standard error why another cannot
  fetch      fetch a version into the cache, and verify it     [-version V]
  up         fetch, start, wait until it answers               [-version V] [-security] [-port N]
  env        print the variables that name the running server, for eval
  answers    fail unless it answers
  down       end it and remove all it made; the archive stays in the cache
  kill       end it at once, as kill -9 does; its data stay
  stop       end it as an operator does; its data stay
  start      start it again, at the same port, after kill or stop
  pause      stop its process in its tracks: it takes connections and answers nothing
  resume     let it go on

DIR holds its program, data and log; it must be a place that other users may reach.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "elasticsearch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	set := flag.NewFlagSet("elasticsearch", flag.ContinueOnError)
	set.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	home := set.String("home", filepath.Join(os.TempDir(), "nemesis-elasticsearch"), "")
	if err := set.Parse(arguments); err != nil {
		return err
	}
	if set.NArg() == 0 {
		set.Usage()
		return errors.New("no command given")
	}
	command, rest := set.Arg(0), set.Args()[1:]
	options := flag.NewFlagSet(command, flag.ContinueOnError)
	options.Usage = set.Usage
	version := options.String("version", "", "")
	security := options.Bool("security", false, "")
	port := options.Int("port", 0, "")
	if err := options.Parse(rest); err != nil {
		return err
	}
	if options.NArg() > 0 {
		return fmt.Errorf("%s takes no %q", command, options.Arg(0))
	}
	switch command {
	case "versions":
		return printVersions()
	case "fetch", "up":
		release, jdk, err := choose(*version, findJDKs())
		if err != nil {
			return err
		}
		archive, err := fetch(ctx, release)
		if err != nil || command == "fetch" {
			return err
		}
		return up(ctx, *home, archive, release, jdk, *security, *port)
	}
	server, err := load(*home)
	if err != nil {
		return err
	}
	switch command {
	case "env":
		fmt.Print(strings.Join(server.environment(), "\n"), "\n")
		return nil
	case "answers":
		if !server.answers(ctx) {
			return errors.New("it does not answer")
		}
		return nil
	case "down":
		return server.down()
	case "kill":
		return server.end(syscall.SIGKILL)
	case "stop":
		return server.end(syscall.SIGTERM)
	case "start":
		return server.start(ctx)
	case "pause":
		return server.signal(syscall.SIGSTOP)
	case "resume":
		return server.signal(syscall.SIGCONT)
	}
	set.Usage()
	return fmt.Errorf("there is no command %q", command)
}

func printVersions() error {
	jdks := findJDKs()
	for _, r := range releases {
		_, _, err := choose(r.Version, jdks)
		if err == nil {
			err = obtainable(r)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "Elasticsearch", r.Version, "cannot run here:", err)
			continue
		}
		fmt.Println(r.Version)
	}
	return nil
}
