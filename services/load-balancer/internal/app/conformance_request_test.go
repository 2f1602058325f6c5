package app_test

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/wiretest"
)

// variant is a way to bring a request to the data port.
type variant struct {
	name   string
	size   int // of the pieces; 0 is in one
	asleep bool
}

// wholeAndInPieces are the variants of each request; those that reach a pod also find it asleep.
var wholeAndInPieces = []variant{{name: "whole"}, {name: "by bytes", size: 1}, {name: "in pieces", size: 7}}

// mostInPieces is the size above which a request is not cut into small pieces.
const mostInPieces = 2 << 10

func runRequests(t *testing.T, b *bed, requests []wiretest.Request) {
	t.Helper()
	for _, r := range requests {
		t.Run(r.Name, func(t *testing.T) {
			for _, v := range variants(r) {
				t.Run(v.name, func(t *testing.T) {
					t.Parallel()
					runRequest(t, b, r, v)
				})
			}
		})
	}
}

func variants(r wiretest.Request) []variant {
	all := wholeAndInPieces
	if len(r.Raw) > mostInPieces {
		all = all[:1]
	}
	all = slices.Clone(all)
	if r.Fault == wiretest.None || r.Fault == wiretest.Body {
		all = append(all, variant{name: "asleep", asleep: true}, variant{name: "asleep in pieces", asleep: true, size: min(len(r.Raw), 11)})
	}
	return all
}

func runRequest(t *testing.T, b *bed, r wiretest.Request, v variant) {
	t.Helper()
	s := b.session(t, sessionOptions{asleep: v.asleep, root: r.Host}, nil)
	w := s.connect()
	if strings.HasPrefix(r.Raw, "HEAD ") {
		w.method = "HEAD"
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		w.pieces(r.Raw, v.size)
	}()
	err := w.sees(r)
	_ = w.conn.Close()
	<-sent
	if err != nil {
		t.Errorf("%q: %v", brief(r.Raw), err)
	}
}

// sees reads the answer of the request, and sees what became of it on both sides.
func (w *wire) sees(r wiretest.Request) error {
	if err := w.getHead(append([]int{200}, r.Refusals()...), nil); err != nil {
		return err
	}
	status, _ := w.last.status()
	body, err := io.ReadAll(w.body)
	switch {
	case err != nil:
		return err
	case len(w.last.values("X-Pod")) == 0:
		return w.seesRefusal(r, status, string(body))
	case r.Fault != wiretest.None && !r.May:
		served, _ := w.s.pod.take()
		return fmt.Errorf("it was taken; at the pod was %q", served)
	case string(body) != "ok":
		return fmt.Errorf("the answer %q", body)
	}
	switch {
	case r.Close:
		err = w.closed()
	case strings.Contains(r.Raw, " HTTP/1.0\r\n") && !slices.Contains(w.last.values("Connection"), "keep-alive"):
		err = fmt.Errorf("HTTP/1.0 was not told that the connection is kept: %q", w.last.fields)
	default:
		err = isKept().do(w)
	}
	if err != nil {
		return err
	}
	return w.s.pod.has(r)
}

func (w *wire) seesRefusal(r wiretest.Request, status int, body string) error {
	if r.Fault == wiretest.None || !slices.Contains(r.Refusals(), status) {
		return fmt.Errorf("refused with %d: %s", status, body)
	}
	var err error
	switch {
	case w.last.closes():
		err = w.end(false)
	case r.Open, r.Fault == wiretest.Path:
	case slices.Contains(r.Refusals(), http.StatusRequestEntityTooLarge), slices.Contains(r.Refusals(), http.StatusRequestHeaderFieldsTooLarge):
		err = w.end(true) // nobody need take in order what is far too large
	default:
		err = w.closed()
	}
	if err != nil {
		return err
	}
	served, _ := w.s.pod.take()
	if notes := w.s.noted(); len(served) > 0 || r.Fault != wiretest.Body && len(notes) > 0 {
		return fmt.Errorf("it was refused, but at the pod were %q, and whole %q", notes, served)
	}
	return nil
}

// has sees that the pod got the request as it should, and beside it nothing but that of isKept.
func (p *scriptedPod) has(r wiretest.Request) error {
	served, faults := p.take()
	if p.s.probed && len(served) > 0 && p.s.isProbe(served[len(served)-1].head.line) {
		served = served[:len(served)-1]
	}
	if len(served) != 1 || len(faults) > 0 {
		return fmt.Errorf("at the pod were %q, and faults %v", served, faults)
	}
	got := served[0]
	if line := p.s.unfill(got.head.line); line != r.At()+" HTTP/1.1" {
		return fmt.Errorf("at the pod came %q, want %q", line, r.At())
	}
	if body := p.s.unfill(got.body); body != r.Body {
		return fmt.Errorf("at the pod came the body %q, want %q", body, r.Body)
	}
	if hosts := got.head.values("Host"); len(hosts) != 1 {
		return fmt.Errorf("at the pod came the hosts %q", hosts)
	}
	if err := got.trailer.lacks(r.Trailer); err != nil {
		return fmt.Errorf("in the trailer at the pod: %w", err)
	}
	var theirs, ours []string // where ours stand among the client's is not told
	for _, f := range p.s.fillAll(r.Fields) {
		switch name, _, _ := strings.Cut(f, ":"); {
		case strings.HasPrefix(name, "X-Forwarded-"), name == "Host", name == "TE":
			ours = append(ours, f)
		default:
			theirs = append(theirs, f)
		}
	}
	if err := cmp.Or(got.head.lacks(theirs), got.head.lacksLoosely(ours)); err != nil {
		return fmt.Errorf("at the pod: %w", err)
	}
	return nil
}
