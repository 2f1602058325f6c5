package proxy

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func TestPage_IsWholeAndNeedsNothingElse(t *testing.T) {
	for name, test := range map[string]struct {
		p     dispatch.Progress
		again time.Duration
		has   []string
	}{
		"far from its end":  {dispatch.Progress{Elapsed: 12 * time.Second, Expected: 40 * time.Second}, 5 * time.Second, []string{`max="40" value="12"`, "pod starting, 12 of about 40 s"}},
		"near it":           {dispatch.Progress{Elapsed: 35 * time.Second, Expected: 40 * time.Second}, 2 * time.Second, []string{`value="35"`}},
		"late":              {dispatch.Progress{Elapsed: 90 * time.Second, Expected: 40 * time.Second}, 2 * time.Second, []string{`max="40" value="40"`, "pod starting, 90 of about 40 s"}},
		"of unknown length": {dispatch.Progress{Elapsed: 3 * time.Second}, 2 * time.Second, []string{`<progress aria-label="Progress of the start"></progress>`, "pod starting, 3 s"}},
		"blocked":           {dispatch.Progress{Blocked: routing.Blocked{Reason: "<script>&"}}, 30 * time.Second, []string{"&lt;script&gt;&amp;"}},
	} {
		t.Run(name, func(t *testing.T) {
			again := pageAgain(test.p)
			text := string(page(test.p, seconds(again)))
			if again != test.again {
				t.Errorf("again in %v, want %v", again, test.again)
			}
			for _, has := range append(test.has, `<html lang="en">`, `role="status"`, `<meta charset="utf-8">`, `http-equiv="refresh"`) {
				if !strings.Contains(text, has) {
					t.Errorf("%q is not in %s", has, text)
				}
			}
			for _, not := range []string{"<script", "http://", "https://", "src=", "%!", "url("} {
				if strings.Contains(text, not) {
					t.Errorf("%q is in %s", not, text)
				}
			}
			d := xml.NewDecoder(strings.NewReader(text))
			d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
