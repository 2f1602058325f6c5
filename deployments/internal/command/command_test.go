package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestStatus_IsOneForAnErrorAlone(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want int
		said string
	}{
		"well":  {nil, 0, ""},
		"help":  {fmt.Errorf("flags: %w", flag.ErrHelp), 0, ""},
		"error": {errors.New("no such module"), 1, "stress: no such module\n"},
	} {
		var stdout, stderr strings.Builder
		got := status(t.Context(), "stress", func(_ context.Context, args []string, out, _ io.Writer) error {
			fmt.Fprint(out, args)
			return c.err
		}, []string{"a", "b"}, &stdout, &stderr)
		if got != c.want || stderr.String() != c.said || stdout.String() != "[a b]" {
			t.Errorf("%s: %d, out %q, err %q", name, got, stdout.String(), stderr.String())
		}
	}
}
