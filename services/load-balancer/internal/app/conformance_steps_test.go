package app_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// takesHead reads the head of a request at the pod: "METHOD target", and fields as head.lacks has
// them.
func takesHead(line string, fields ...string) step {
	return step{"takes the head of " + line, func(w *wire) error {
		if err := w.takeHead(); err != nil {
			return err
		}
		if got := strings.TrimSuffix(w.last.line, " HTTP/1.1"); w.s.unfill(got) != line {
			return fmt.Errorf("%q came", w.last.line)
		}
		return w.last.lacksLoosely(w.s.fillAll(fields))
	}}
}

// takeHead reads the head of a request, and notes it.
func (w *wire) takeHead() (err error) {
	if w.last, err = readHead(w.br); err != nil {
		return err
	}
	line, ok := strings.CutSuffix(w.last.line, " HTTP/1.1")
	if !ok {
		return fmt.Errorf("the request line %q", w.last.line)
	}
	w.method, _, _ = strings.Cut(line, " ")
	w.s.note(w.s.unfill(line))
	w.body, err = w.last.framed(w.br, true, "")
	return err
}

// takesBody reads the whole body of the message whose head was read last.
func takesBody(want string) step {
	return step{"takes the body " + brief(want), func(w *wire) error {
		got, err := io.ReadAll(w.body)
		if err != nil || string(got) != w.s.fill(want) {
			return fmt.Errorf("%s came: %w", brief(string(got)), orNone(err))
		}
		return nil
	}}
}

// takesPart reads so much of the body.
func takesPart(want string) step {
	return step{"takes the part " + brief(want), func(w *wire) error { return expectBytes(w.body, want) }}
}

// takesCut reads the body to where it is broken off: it must not end well.
func takesCut() step {
	return step{"sees the body cut", func(w *wire) error {
		got, err := io.ReadAll(w.body)
		if err == nil {
			return fmt.Errorf("it ended well, with %s", brief(string(got)))
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) && !gone(err) {
			return err
		}
		return nil
	}}
}

// getsHead reads the head of an answer, whose body is not read yet.
func getsHead(status int, fields ...string) step {
	return step{fmt.Sprintf("gets the head of %d", status), func(w *wire) error { return w.getHead([]int{status}, fields) }}
}

func (w *wire) getHead(statuses []int, fields []string) (err error) {
	if w.last, err = readHead(w.br); err != nil {
		return err
	}
	status, err := w.last.status()
	if err != nil {
		return err
	}
	if !slices.Contains(statuses, status) {
		rest, _ := w.br.Peek(w.br.Buffered())
		return fmt.Errorf("%q came, want %d; %q %q", w.last.line, statuses, w.last.fields, rest)
	}
	if err := w.last.lacksLoosely(w.s.fillAll(fields)); err != nil {
		return err
	}
	w.body, err = w.last.framed(w.br, false, w.method)
	return err
}

// gets reads a whole answer.
func gets(status int, body string, fields ...string) step {
	return step{fmt.Sprintf("gets %d %s", status, brief(body)), func(w *wire) error {
		if err := w.getHead([]int{status}, fields); err != nil {
			return err
		}
		return takesBody(body).do(w)
	}}
}

// isRefused reads a whole answer of the balancer's own: a problem document.
func isRefused(statuses ...int) step {
	return step{fmt.Sprintf("is refused with %d", statuses), func(w *wire) error {
		if err := w.getHead(statuses, nil); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, w.body)
		return err
	}}
}

// isRefusedAndClosed reads a refusal that announces the end of the connection, and the end.
func isRefusedAndClosed(statuses ...int) step {
	return step{fmt.Sprintf("is refused with %d, and closed", statuses), func(w *wire) error {
		if err := isRefused(statuses...).do(w); err != nil {
			return err
		}
		return w.closed()
	}}
}

// getsFinally reads a whole answer with one of these statuses, and passes over informational ones.
func getsFinally(statuses ...int) step {
	return step{fmt.Sprintf("gets one of %d in the end", statuses), func(w *wire) error {
		for {
			h, err := readHead(w.br)
			if err != nil {
				return err
			}
			status, err := h.status()
			if err != nil {
				return err
			}
			if status < 200 {
				continue
			}
			if !slices.Contains(statuses, status) {
				return fmt.Errorf("%q came", h.line)
			}
			w.last = h
			if w.body, err = h.framed(w.br, false, w.method); err == nil {
				_, err = io.Copy(io.Discard, w.body)
			}
			return err
		}
	}}
}

// getsTrailer checks the trailer of the body that was read to its end, as head.lacks has it.
func getsTrailer(fields ...string) step {
	return step{fmt.Sprintf("gets the trailer %q", fields), func(w *wire) error {
		c, ok := w.body.(*chunks)
		if !ok || !c.ended {
			return fmt.Errorf("no chunked body was read to its end: %q", w.last.fields)
		}
		return c.trailer.lacksLoosely(fields)
	}}
}

// isKept sends a request on the same connection and gets its answer: the connection is there, and
// both ends agree on where the next message begins.
func isKept() step {
	return step{"finds the connection kept", func(w *wire) error {
		if w.last.closes() {
			return fmt.Errorf("close was announced in %q", w.last.fields)
		}
		target := "/app/probe"
		if w.s.root {
			target = "/probe"
		}
		if err := w.write("GET " + target + " HTTP/1.1\r\nHost: app.root\r\n\r\n"); err != nil {
			return err
		}
		w.method, w.s.probed = "GET", true
		return gets(200, "ok").do(w)
	}}
}

// isKeptOrClosed sees the connection kept, or the end that was announced.
func isKeptOrClosed() step {
	return step{"finds the connection kept, or sees the announced end", func(w *wire) error {
		if w.last.closes() {
			return w.end(false)
		}
		return isKept().do(w)
	}}
}

// isClosed sees the connection end in order, as the answer before announced.
func isClosed() step {
	return step{"sees the announced end", func(w *wire) error { return w.closed() }}
}

func (w *wire) closed() error {
	if !w.last.closes() {
		return fmt.Errorf("no close was announced in %q", w.last.fields)
	}
	return w.end(false)
}

// isCut sees the connection end, in any way, within the body of the answer.
func isCut() step {
	return step{"sees the answer cut", func(w *wire) error {
		return takesCut().do(w)
	}}
}

func orNone(err error) error {
	if err == nil {
		return errors.New("and the end")
	}
	return err
}
