package main

import (
	"strings"
	"testing"
)

func TestWords_EndWithDoneAndNothingElse(t *testing.T) {
	const event = `data: {"choices":[{"text":"Once"}]}` + "\n\n"
	for name, c := range map[string]struct {
		stream, want string
		fails        bool
	}{
		"whole":  {event + event + "data: [DONE]\n\n", "OnceOnce", false},
		"cut":    {event, "Once", true},
		"broken": {"data: {\n\n", "", true},
	} {
		var got strings.Builder
		err := words(strings.NewReader(c.stream), func(w string) { got.WriteString(w) })
		if (err != nil) != c.fails || got.String() != c.want {
			t.Errorf("%s: %q, %v", name, got.String(), err)
		}
	}
}
