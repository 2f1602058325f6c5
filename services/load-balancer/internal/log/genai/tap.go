// Package genai reads what a language model's answer tells of itself: which model it was, and how
// many tokens went in and came out.
//
// Every server has its own words for that (OpenAI's and those of vLLM, SGLang and llama.cpp that
// speak like it, Anthropic, Ollama, TGI, Gemini, Cohere), but all say it in JSON, near the beginning
// or at the end of the answer, streamed or not. So a Tap keeps a little of both while the answer
// passes, and looks for the names of members when it is over. There is no parser: the middle of the
// answer is missing, and a streamed one is many documents. It needs none, because a quote within a
// JSON string is always escaped: `"prompt_tokens":` is a member's name wherever it stands.
//
// What was asked is not read: request bodies stay private. The time to the first token is that to
// the first byte of a streamed answer's body, which the proxy measures for every answer.
//
// It is pure: it knows no HTTP, no files and no clock.
package genai

import "strings"

// What is kept of an answer: its first and its last bytes.
const (
	headSize = 1 << 10
	tailSize = 8 << 10
)

// Tap keeps the beginning and the end of an answer. The zero value is ready. It never allocates.
type Tap struct {
	headUsed int
	tailUsed int
	head     [headSize]byte
	tail     [2 * tailSize]byte // the last tailUsed bytes: moved to its front only now and then
}

// Take passes on a part of the answer.
func (t *Tap) Take(part []byte) {
	if t.headUsed < headSize {
		t.headUsed += copy(t.head[t.headUsed:], part)
	}
	if len(part) >= tailSize {
		t.tailUsed = copy(t.tail[:], part[len(part)-tailSize:])
		return
	}
	if t.tailUsed+len(part) > len(t.tail) {
		t.tailUsed = copy(t.tail[:], t.tail[t.tailUsed-tailSize:t.tailUsed])
	}
	t.tailUsed += copy(t.tail[t.tailUsed:], part)
}

// Reset makes it ready for another answer.
func (t *Tap) Reset() { t.headUsed, t.tailUsed = 0, 0 }

// Facts are what the answer told.
func (t *Tap) Facts() Facts {
	var s scan
	s.read(t.head[:t.headUsed])
	s.read(t.tail[max(t.tailUsed-tailSize, 0):t.tailUsed])
	return s.facts()
}

// Tells says whether an answer of this media type, the value of Content-Type, may tell something.
func Tells(contentType string) bool {
	if semicolon := strings.IndexByte(contentType, ';'); semicolon >= 0 {
		contentType = contentType[:semicolon]
	}
	contentType = strings.TrimSpace(contentType)
	for _, known := range []string{"application/json", "text/event-stream", "application/x-ndjson"} {
		if strings.EqualFold(contentType, known) {
			return true
		}
	}
	return false
}
