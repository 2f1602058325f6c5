package main

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/settings"
)

// config is what the server pretends to be.
type config struct {
	address string
	model   string

	loadTime           time.Duration // from the start of the process to the first answer
	listenWhileLoading bool

	slots, queue    int
	tokensPerSecond float64 // of each request, however many run
	maxTokens       int     // of an answer
	contextTokens   int     // of a prompt and its answer together

	drain time.Duration
	debug bool
}

func parse(args []string, getenv func(string) string, usage io.Writer) (config, error) {
	var c config
	s := settings.New("modelserver", getenv, usage)
	s.Address(&c.address, "port", "8000", "port, or HOST:PORT, to listen on")
	s.Text(&c.model, "model", "nemesis/echo", 128, "name of the model")
	s.Seconds(&c.loadTime, "load-seconds", 3*time.Second, time.Hour, "how long the model loads")
	s.Bool(&c.listenWhileLoading, "listen-while-loading", true, "answer 503 while the model loads; else refuse connections")
	s.Int(&c.slots, "slots", 4, 1, 1024, "requests worked on at a time")
	s.Int(&c.queue, "queue", 32, 0, 100_000, "further requests that wait; beyond, the answer is 429")
	s.Number(&c.tokensPerSecond, "tokens-per-second", 50, 0.1, 100_000, "tokens per second of each request")
	s.Int(&c.maxTokens, "max-tokens", 1024, 1, 1_000_000, "most tokens of an answer")
	s.Int(&c.contextTokens, "context-tokens", 8192, 2, 2_000_000, "most tokens of a prompt and its answer together")
	s.Seconds(&c.drain, "drain-seconds", 50*time.Second, time.Hour, "how long requests may take to finish after SIGTERM")
	s.Bool(&c.debug, "debug", false, "log probes and scrapes too")
	if err := s.Parse(args); err != nil {
		return config{}, err
	}
	if c.maxTokens >= c.contextTokens {
		return config{}, fmt.Errorf("-max-tokens (MAX_TOKENS): \"%d\" is not allowed: must be less than -context-tokens, which is %d", c.maxTokens, c.contextTokens)
	}
	return c, nil
}

func (c config) level() slog.Level {
	if c.debug {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// perToken is the time between two tokens of a request.
func (c config) perToken() time.Duration {
	return time.Duration(float64(time.Second) / c.tokensPerSecond)
}
