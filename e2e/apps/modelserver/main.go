// Command modelserver is a sample application that pretends to be a server of a large language
// model, as its callers and its operators see one: it loads for a while, works on a few requests
// at a time and queues some more, answers token by token through vLLM's HTTP interface, and
// exports gauges under vLLM's names. The text is the prompt's own words, over and over. It knows
// nothing of Nemesis.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/serving"
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/tracing"
)

// flushLimit bounds how long the last spans may take on their way out.
const flushLimit = 3 * time.Second

func main() {
	// Before anything else: as process 1 of a container a signal without a handler is lost.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "modelserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) error {
	c, err := parse(args, getenv, stderr)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: c.level()}))
	loading := load(c.loadTime)
	if !c.listenWhileLoading && !loading.wait(ctx) {
		return nil // told to end before there was anything to drain
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.address, err)
	}
	return serve(ctx, listener, c, loading, getenv, log)
}

func serve(ctx context.Context, listener net.Listener, c config, loading *loading, getenv func(string) string, log *slog.Logger) error {
	pod, err := os.Hostname()
	if err != nil {
		return errors.Join(fmt.Errorf("name of this pod: %w", err), listener.Close())
	}
	spans, err := tracing.Start(ctx, "modelserver", getenv, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	log.Info("listening", "address", listener.Addr().String(), "model", c.model,
		"load", c.loadTime.String(), "slots", c.slots, "queue", c.queue, "tokens_per_second", c.tokensPerSecond)
	go func() {
		if loading.wait(ctx) {
			log.Info("loaded", "model", c.model)
		}
	}()
	served := serving.Run(ctx, serving.New(handler(c, loading, pod, spans, log), log), listener, c.drain, log)
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
	defer cancel()
	if err := spans.Shutdown(flush); err != nil { // spans are lost, requests are not
		log.Warn("telemetry", "error", err.Error())
	}
	return served
}
