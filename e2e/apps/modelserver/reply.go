package main

import (
	"crypto/rand"
	"time"
)

// reply makes the JSON of one answer, in the shape of the interface that was asked.
type reply struct {
	id      string
	created int64
	model   string
	ask     ask
}

type document struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
}

// choice has Text (completions), Message (chat) or Delta (a streamed piece of a chat).
type choice struct {
	Index        int      `json:"index"`
	Text         *string  `json:"text,omitempty"`
	Message      *message `json:"message,omitempty"`
	Delta        *delta   `json:"delta,omitempty"`
	FinishReason *string  `json:"finish_reason"`
}

type delta struct {
	Role    string `json:"role,omitempty"`
	Content string `json:"content"`
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

func newReply(model string, a ask) reply {
	kind := "cmpl-"
	if a.chat {
		kind = "chatcmpl-"
	}
	return reply{id: kind + rand.Text(), created: time.Now().Unix(), model: model, ask: a}
}

func (r reply) document(object string, choices []choice) document {
	return document{ID: r.id, Object: object, Created: r.created, Model: r.model, Choices: choices}
}

// whole is the answer in one piece.
func (r reply) whole(text string) document {
	length := finishedLength
	object, c := "text_completion", choice{Text: &text, FinishReason: &length}
	if r.ask.chat {
		object, c = "chat.completion", choice{Message: &message{Role: "assistant", Content: text}, FinishReason: &length}
	}
	d := r.document(object, []choice{c})
	d.Usage = r.usage()
	return d
}

// piece is one token of a streamed answer; the first one of a chat says who speaks, the last one
// why no more follows.
func (r reply) piece(index int, token string) document {
	object, c := "text_completion", choice{Text: &token}
	if r.ask.chat {
		object, c = "chat.completion.chunk", choice{Delta: &delta{Content: token}}
		if index == 0 {
			c.Delta.Role = "assistant"
		}
	}
	if index == r.ask.tokens-1 {
		length := finishedLength
		c.FinishReason = &length
	}
	return r.document(object, []choice{c})
}

// bill is the last piece of a stream whose client asked for the usage.
func (r reply) bill() document {
	object := "text_completion"
	if r.ask.chat {
		object = "chat.completion.chunk"
	}
	d := r.document(object, []choice{})
	d.Usage = r.usage()
	return d
}

func (r reply) usage() *usage {
	return &usage{PromptTokens: r.ask.promptTokens, CompletionTokens: r.ask.tokens, TotalTokens: r.ask.promptTokens + r.ask.tokens}
}
