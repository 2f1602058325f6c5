package main

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
)

// standardTokens are made when a request does not say how many.
const standardTokens = 16

// ask is what a request wants, whichever of the two interfaces it came through.
type ask struct {
	echo         []string // what the answer repeats
	promptTokens int
	tokens       int
	stream       bool
	usage        bool // at the end of a stream
	chat         bool
}

// options are the fields that both interfaces have. Those that steer the choice of words are
// taken, since ordinary clients send them, and have no effect on an echo.
type options struct {
	Model         string         `json:"model"`
	MaxTokens     *int           `json:"max_tokens"`
	Stream        bool           `json:"stream"`
	StreamOptions *streamOptions `json:"stream_options"`
	Temperature   *float64       `json:"temperature"`
	TopP          *float64       `json:"top_p"`
	Seed          *int           `json:"seed"`
	User          string         `json:"user"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type completionBody struct {
	options
	Prompt string `json:"prompt"`
}

type chatBody struct {
	options
	MaxCompletionTokens *int      `json:"max_completion_tokens"`
	Messages            []message `json:"messages"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func (c config) readCompletion(w http.ResponseWriter, r *http.Request) (ask, *problem.Problem) {
	var body completionBody
	if p := readBody(w, r, &body); p != nil {
		return ask{}, p
	}
	a := ask{echo: tokenize(body.Prompt)}
	a.promptTokens = len(a.echo)
	var faults []problem.Field
	if a.promptTokens == 0 {
		faults = append(faults, problem.Field{Field: "prompt", Value: strconv.Quote(problem.Shorten(body.Prompt)), Allowed: "a text of at least one word"})
	}
	return c.check(a, body.options, "max_tokens", faults)
}

func (c config) readChat(w http.ResponseWriter, r *http.Request) (ask, *problem.Problem) {
	var body chatBody
	if p := readBody(w, r, &body); p != nil {
		return ask{}, p
	}
	a := ask{chat: true}
	var faults []problem.Field
	for i, m := range body.Messages {
		tokens := tokenize(m.Content)
		a.promptTokens += len(tokens)
		if len(tokens) > 0 {
			a.echo = tokens // the last one that says something is answered
		}
		switch m.Role {
		case "system", "developer", "user", "assistant", "tool":
		default:
			if len(faults) < mostFaults {
				faults = append(faults, problem.Field{Field: fmt.Sprintf("messages[%d].role", i), Value: m.Role, Allowed: "system, developer, user, assistant or tool"})
			}
		}
	}
	if len(a.echo) == 0 {
		faults = append(faults, problem.Field{Field: "messages", Value: fmt.Sprintf("%d messages without a word", len(body.Messages)), Allowed: "at least one message with a content of at least one word"})
	}
	limit := "max_tokens"
	if body.MaxCompletionTokens != nil { // the newer name wins, as in vLLM
		body.MaxTokens, limit = body.MaxCompletionTokens, "max_completion_tokens"
	}
	return c.check(a, body.options, limit, faults)
}

// mostFaults bounds how many messages at fault are named.
const mostFaults = 16

// check adds to a what both interfaces have in common, and to the faults those of it; limit is
// the field that says how many tokens.
func (c config) check(a ask, o options, limit string, faults []problem.Field) (ask, *problem.Problem) {
	a.stream = o.Stream
	a.usage = o.StreamOptions != nil && o.StreamOptions.IncludeUsage
	a.tokens = min(standardTokens, c.maxTokens)
	if o.MaxTokens != nil {
		a.tokens = *o.MaxTokens
	}
	if a.tokens < 1 || a.tokens > c.maxTokens {
		faults = append(faults, problem.Field{Field: limit, Value: strconv.Itoa(a.tokens), Allowed: fmt.Sprintf("a whole number from 1 to %d", c.maxTokens)})
	}
	if most := c.contextTokens - c.maxTokens; a.promptTokens > most {
		field := "prompt"
		if a.chat {
			field = "messages"
		}
		faults = append(faults, problem.Field{Field: field, Value: fmt.Sprintf("%d tokens", a.promptTokens), Allowed: fmt.Sprintf("at most %d tokens", most)})
	}
	if o.StreamOptions != nil && !o.Stream {
		faults = append(faults, problem.Field{Field: "stream_options", Value: "given", Allowed: "only with stream true"})
	}
	if len(faults) > 0 {
		p := problem.Invalid(faults...)
		return ask{}, &p
	}
	if o.Model != "" && o.Model != c.model {
		p := problem.Invalid(problem.Field{Field: "model", Value: o.Model, Allowed: c.model})
		p.Status, p.Code, p.Title = http.StatusNotFound, "model-not-found", "There is no such model here"
		return ask{}, &p
	}
	return a, nil
}
