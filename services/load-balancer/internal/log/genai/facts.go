package genai

import (
	"bytes"
	"encoding/json"
)

// Facts are what an answer told. The zero value of a field is that it did not.
type Facts struct {
	Model        string // that answered
	InputTokens  int64
	OutputTokens int64
}

// The bounds of what is believed.
const (
	maxModel  = 128
	maxKey    = 24
	maxDigits = 12
)

// scan gathers what is found. A later number replaces an earlier one: streams count up.
type scan struct {
	model         []byte // the first that is named, quoted
	input, output int64
	length        int64 // TGI's input_length: a name that others use too
	generated     bool  // TGI's generated_tokens stood beside it
}

func (s *scan) facts() Facts {
	f := Facts{InputTokens: s.input, OutputTokens: s.output}
	if s.generated && f.InputTokens == 0 {
		f.InputTokens = s.length
	}
	// Much has a model that is no language model: without tokens it is not believed.
	if (f.InputTokens > 0 || f.OutputTokens > 0) && s.model != nil {
		f.Model = text(s.model)
	}
	return f
}

func text(quoted []byte) string {
	var s string
	_ = json.Unmarshal(quoted, &s) // what is no string has no name
	return s
}

// read looks at the name before each colon.
func (s *scan) read(b []byte) {
	for at := 0; ; {
		colon := bytes.IndexByte(b[at:], ':')
		if colon < 0 {
			return
		}
		name := nameBefore(b[:at+colon])
		at += colon + 1
		switch string(name) {
		case "prompt_tokens", "input_tokens", "prompt_eval_count", "tokens_evaluated", "promptTokenCount":
			number(b[at:], &s.input)
		case "completion_tokens", "output_tokens", "eval_count", "tokens_predicted", "candidatesTokenCount":
			number(b[at:], &s.output)
		case "generated_tokens":
			s.generated = number(b[at:], &s.output)
		case "input_length":
			number(b[at:], &s.length)
		case "model", "modelVersion":
			if s.model == nil {
				s.model = quoted(b[at:])
			}
		}
	}
}

// nameBefore is the member's name that ends b; nil when there is none that could be meant.
func nameBefore(b []byte) []byte {
	b = bytes.TrimRight(b, " \t")
	if len(b) < 2 || b[len(b)-1] != '"' {
		return nil
	}
	b = b[:len(b)-1]
	quote := bytes.LastIndexByte(b[max(len(b)-maxKey-1, 0):], '"')
	if quote < 0 {
		return nil
	}
	return b[max(len(b)-maxKey-1, 0)+quote+1:]
}

// number reads a whole number that ends before b does.
func number(b []byte, into *int64) bool {
	b = bytes.TrimLeft(b, " \t")
	var n int64
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9' && i < maxDigits:
			n = 10*n + int64(c-'0')
		case i > 0 && (c == ',' || c == '}' || c == ' ' || c == '\n' || c == '\r' || c == '\t'):
			*into = n
			return true
		default:
			return false
		}
	}
	return false
}

// quoted is a string that ends before b does, with its quotes; nil when it is none, or too long.
func quoted(b []byte) []byte {
	b = bytes.TrimLeft(b, " \t")
	if len(b) == 0 || b[0] != '"' {
		return nil
	}
	for i := 1; i < len(b) && i <= maxModel+1; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			if i == 1 {
				return nil
			}
			return b[:i+1]
		}
	}
	return nil
}
