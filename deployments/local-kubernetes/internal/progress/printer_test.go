package progress

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStatus_InALogComesRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		printer := &Printer{out: &out, began: time.Now(), steps: map[string]string{}}
		printer.Line("begin")
		for second := range 60 {
			time.Sleep(time.Second)
			printer.Status("one", strconv.Itoa(second))
			printer.Status("other", "at work")
		}
		if lines := strings.Count(out.String(), "\n"); lines != 5 {
			t.Errorf("%d lines in a minute, want the first and one each %s:\n%s", lines, logInterval, &out)
		}
		if !strings.Contains(out.String(), "one: 14; other: at work") {
			t.Errorf("two steps do not share a line:\n%s", &out)
		}
		if strings.ContainsAny(out.String(), "\r\x1b") {
			t.Errorf("control characters in a log: %q", &out)
		}
	})
}

func TestStatus_OnATerminalIsWrittenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		printer := &Printer{out: &out, terminal: true, began: time.Now(), steps: map[string]string{}}
		for range 3 {
			time.Sleep(time.Second)
			printer.Status("one", "at work")
		}
		printer.Line("done")
		if lines := strings.Count(out.String(), "\n"); lines != 1 {
			t.Errorf("%d lines, want only the last: %q", lines, &out)
		}
	})
}
