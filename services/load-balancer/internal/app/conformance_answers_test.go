package app_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// answered is a case of what becomes of a pod's answer.
type answered struct {
	name   string
	method string // of the request; GET
	answer string // bytes of the pod
	ends   bool   // and it closes its connection behind them

	status  []int    // that the client gets; none is 200. 502 is the balancer's own
	fields  []string // that the client gets, as head.lacks has them
	loosely bool     // in any order and spelling
	body    string
	trailer []string
	cut     bool // the body does not end well
	mayCut  bool // or it is a 502
	fresh   bool // the pod's connection is not used again
	behind  bool // bytes stand behind the answer: they must come with it, lest they come to the next one
}

// runAnswers runs the cases: whole and in pieces, for clients of HTTP/1.1 and of HTTP/1.0.
func runAnswers(t *testing.T, b *bed, cases []answered) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, v := range wholeAndInPieces {
				if v.size > 0 && (c.behind || len(c.answer) > mostInPieces) {
					continue
				}
				t.Run(v.name, func(t *testing.T) { runAnswer(t, b, c, v, "1.1") })
			}
			t.Run("old client", func(t *testing.T) { runAnswer(t, b, c, variant{}, "1.0") })
		})
	}
}

func runAnswer(t *testing.T, b *bed, c answered, v variant, version string) {
	t.Helper()
	t.Parallel()
	if c.method == "" {
		c.method = "GET"
	}
	if len(c.status) == 0 {
		c.status = []int{200}
	}
	script := []step{takesHead(c.method + " /x"), {"answers", func(w *wire) error { w.pieces(c.answer, v.size); return nil }}}
	if c.ends {
		script = append(script, hangsUp())
	}
	s := b.session(t, sessionOptions{}, [][]step{script})
	w := s.connect()
	err := w.run([]step{sends(c.method + " /app/x HTTP/" + version + "\r\nHost: h\r\nTE: trailers\r\n\r\n")})
	if err == nil {
		err = w.seesAnswer(c, version)
	}
	if err != nil {
		t.Errorf("the client: %v", err)
	}
	if n := s.pod.count(); err == nil && s.probed && (c.fresh && n == 1 || !c.fresh && !c.mayCut && n > 1) {
		t.Errorf("%d connections were opened to the pod", n)
	}
	_ = w.conn.Close()
	s.check(exchange{anyway: true})
}

// seesAnswer reads the answer, and sees what becomes of the connection.
func (w *wire) seesAnswer(c answered, version string) error {
	statuses := c.status
	if c.mayCut {
		statuses = append(slices.Clone(statuses), 502)
	}
	if err := w.getHead(statuses, nil); err != nil {
		return err
	}
	if err := w.answersWell(version); err != nil {
		return err
	}
	if status, _ := w.last.status(); status == 502 {
		if problem := w.last.values("Content-Type"); !slices.Equal(problem, []string{"application/problem+json"}) {
			return fmt.Errorf("the 502 is not ours: %q", w.last.fields)
		}
		_, err := io.Copy(io.Discard, w.body)
		return err
	}
	lacks := w.last.lacks
	if c.loosely {
		lacks = w.last.lacksLoosely
	}
	if err := lacks(c.fields); err != nil {
		return err
	}
	switch {
	case c.cut && version == "1.0":
		return nil // only an end could be seen, which is also how a body without a length ends well
	case c.cut:
		return takesCut().do(w)
	}
	if err := takesBody(c.body).do(w); err != nil {
		return err
	}
	if ch, ok := w.body.(*chunks); ok {
		if err := ch.trailer.lacks(c.trailer); err != nil {
			return fmt.Errorf("in the trailer: %w", err)
		}
	} else if len(c.trailer) > 0 && !strings.HasPrefix(c.trailer[0], "-") && version == "1.1" {
		return errors.New("the trailer is lost, for the body has no chunks")
	}
	if version == "1.0" {
		return w.end(false)
	}
	return isKept().do(w)
}

// answersWell sees what holds of every answer.
func (w *wire) answersWell(version string) error {
	status, _ := w.last.status()
	codings := w.last.values("Transfer-Encoding")
	switch {
	case version == "1.0" && len(codings) > 0:
		return fmt.Errorf("HTTP/1.0 got the coding %q", codings)
	case status < 200:
		return fmt.Errorf("%d stands where the answer was due", status)
	case status == 204 && len(w.last.values("Content-Length")) > 0, (status == 204 || status == 304) && len(codings) > 0:
		return fmt.Errorf("%d has a length: %q", status, w.last.fields)
	case len(w.last.values("Date")) > 1:
		return fmt.Errorf("more than one date: %q", w.last.fields)
	}
	return nil
}
