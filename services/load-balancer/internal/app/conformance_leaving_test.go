package app_test

import (
	"github.com/nemesis-scaling/nemesis/pkg/testwait"

	"fmt"
	"slices"
	"testing"
)

// Clients that leave: their pod sees it at once, and nothing is left.
func TestConformance_ClientsLeave(t *testing.T) {
	const ask = "GET /app/x HTTP/1.1\r\nHost: h\r\n\r\n"
	var all []exchange
	for name, leaves := range map[string]func() step{"closes": hangsUp, "resets": aborts} {
		all = append(all,
			exchange{name: "before the answer, and " + name, asleep: true, reach: []string{"GET /x"},
				client: []step{sends(ask), awaits("asked"), leaves()}, pod: [][]step{{takesHead("GET /x"), opens("asked"), seesGone()}}},
			exchange{name: "within the answer, and " + name, asleep: true, reach: []string{"GET /x"},
				client: []step{sends(ask), getsHead(200), takesPart("hello"), leaves()},
				pod:    [][]step{{takesHead("GET /x"), sends("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), seesGone()}}},
			exchange{name: "within an answer with a length, and " + name, reach: []string{"GET /x"},
				client: []step{sends(ask), getsHead(200), takesPart("hello"), leaves()},
				pod:    [][]step{{takesHead("GET /x"), sends("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), seesGone()}}},
			exchange{name: "behind its body, before the answer, and " + name, asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"), awaits("asked"), leaves()},
				pod:    [][]step{{takesHead("POST /x"), takesBody("hello"), opens("asked"), seesGone()}}},
			exchange{name: "in the waiting room, and " + name, options: sessionOptions{heldBack: true},
				client: []step{sends(ask), waits(1), leaves(), waitsNot()}},
			exchange{name: "in the waiting room with half a body, and " + name, options: sessionOptions{heldBack: true},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello"), awaits("started"), leaves(), waitsNot()}},
			exchange{name: "in the waiting room with half a large body, and " + name, options: sessionOptions{heldBack: true},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\nhello"), awaits("started"), leaves(), waitsNot()}},
			exchange{name: "in the waiting room behind its body, and " + name, options: sessionOptions{heldBack: true},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"), waits(1), leaves(), waitsNot()}},
		)
		all = append(all, forFramings(2*half, func(f framing) exchange {
			return exchange{name: "within its body, and " + name, asleep: true, reach: []string{"POST /x"},
				client: []step{sends("POST /app/x HTTP/1.1\r\nHost: h\r\n" + f.field + "\r\n" + f.part(text(half))), awaits("half"), leaves()},
				pod:    [][]step{{takesHead("POST /x"), takesPart(text(half)), opens("half"), takesCut()}},
			}
		})...)
	}
	slices.SortFunc(all, func(a, b exchange) int { return len(a.name) - len(b.name) })
	runExchanges(t, newBed(t, nil), all)
}

// waitsNot sees that no request of the application waits.
func waitsNot() step {
	return step{"sees nobody wait", func(w *wire) error {
		testwait.Until(w.s.t, "nobody waits", func() bool { return w.s.bed.idle(w.s.t, w.s.id) })
		return nil
	}}
}

// A request that ends before its end never reaches a pod whole.
func TestConformance_EarlyEnds(t *testing.T) {
	var all []exchange
	for _, request := range []string{
		"GET /app/x HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n",
		"POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
		"POST /app/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
	} {
		for n := 1; n < len(request); n += 3 {
			all = append(all, exchange{name: fmt.Sprintf("%s at %d", request[:4], n) + string(rune('a'+len(all)%26)), anyway: true,
				client: []step{sends(request[:n]), halfCloses(), seesNoAnswer(), podServedNothing()}})
		}
	}
	runExchanges(t, newBed(t, nil), all)
}

// seesNoAnswer sees the connection end, with nothing before the end but a refusal.
func seesNoAnswer() step {
	return step{"gets no answer of a pod", func(w *wire) error {
		if _, err := w.br.Peek(1); err != nil {
			return w.end(true)
		}
		if err := w.getHead([]int{400, 408, 499}, []string{"-X-Pod"}); err != nil {
			return err
		}
		return seesGone().do(w)
	}}
}

// podServedNothing sees that no request has reached the pod whole.
func podServedNothing() step {
	return step{"finds nothing whole at the pod", func(w *wire) error {
		if served, _ := w.s.pod.take(); len(served) > 0 {
			return fmt.Errorf("at the pod was %q", served)
		}
		return nil
	}}
}
