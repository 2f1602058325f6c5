package app_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// patience is how long the steps of a case may take before it has failed. Nothing waits for it to pass.
var patience = testwait.Limit()

// wire is one end of a connection, of a client or of a pod, that writes and reads bytes as a case
// says.
type wire struct {
	conn   *net.TCPConn
	br     *bufio.Reader
	s      *session
	method string    // of the request that is being answered, or taken
	last   head      // that was read
	body   io.Reader // of the message whose head was read last
}

func newWire(s *session, conn *net.TCPConn) *wire {
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &wire{conn: conn, br: bufio.NewReader(conn), s: s}
}

// step is one thing that one end of a connection does, or must see.
type step struct {
	what string
	do   func(w *wire) error
}

// run goes through the steps.
func (w *wire) run(steps []step) error {
	for i, st := range steps {
		if err := st.do(w); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, st.what, err)
		}
	}
	return nil
}

// sends writes bytes.
func sends(text string) step {
	return step{"sends " + brief(text), func(w *wire) error { return w.write(text) }}
}

// triesToSend writes bytes, but the other end may have gone.
func triesToSend(text string) step {
	return step{"tries to send " + brief(text), func(w *wire) error { _ = w.write(text); return nil }}
}

// sendsBeside writes bytes while the steps go on.
func sendsBeside(text string) step {
	return step{"sends beside the next steps " + brief(text), func(w *wire) error {
		go func() { _ = w.write(text) }()
		return nil
	}}
}

func (w *wire) write(text string) error {
	if method, rest, _ := strings.Cut(text, " "); strings.Contains(rest, " HTTP/1.") {
		w.method = method // of the answer that is due
	}
	_, err := io.WriteString(w.conn, w.s.fill(text))
	return err
}

// pieces writes bytes in parts of that size. The other end may close before it has taken them.
func (w *wire) pieces(text string, size int) {
	text = w.s.fill(text)
	for size > 0 && len(text) > size {
		if _, err := io.WriteString(w.conn, text[:size]); err != nil {
			return
		}
		text = text[size:]
	}
	_, _ = io.WriteString(w.conn, text)
}

// another does the steps on a client's connection of its own.
func another(steps ...step) step {
	return step{"another client", func(w *wire) error {
		other := w.s.connect()
		defer func() { _ = other.conn.Close() }()
		return other.run(steps)
	}}
}

// times does the steps n times.
func times(n int, steps ...step) step {
	return step{fmt.Sprintf("%d times", n), func(w *wire) error {
		for range n {
			if err := w.run(steps); err != nil {
				return err
			}
		}
		return nil
	}}
}

// opens lets the steps go on that wait for the gate.
func opens(gate string) step {
	return step{"opens " + gate, func(w *wire) error { w.s.gates.open(gate); return nil }}
}

// awaits waits until another step has opened the gate.
func awaits(gate string) step {
	return step{"awaits " + gate, func(w *wire) error { return w.s.gates.await(gate) }}
}

// halfCloses ends the sending, and goes on reading.
func halfCloses() step {
	return step{"half-closes", func(w *wire) error { return w.conn.CloseWrite() }}
}

// hangsUp closes the connection. The system resets it when bytes were not read.
func hangsUp() step {
	return step{"hangs up", func(w *wire) error { _ = w.conn.Close(); return nil }}
}

// aborts resets the connection.
func aborts() step {
	return step{"resets the connection", func(w *wire) error {
		_ = w.conn.SetLinger(0)
		_ = w.conn.Close()
		return nil
	}}
}

// getsBytes reads exactly these bytes.
func getsBytes(text string) step {
	return step{"gets " + brief(text), func(w *wire) error { return expectBytes(w.br, w.s.fill(text)) }}
}

// seesEnd reads the end of what the other side sends, and nothing before it.
func seesEnd() step {
	return step{"sees a clean end", func(w *wire) error { return w.end(false) }}
}

// seesGone reads the end, clean or not; bytes may stand before it.
func seesGone() step {
	return step{"sees the other end gone", func(w *wire) error {
		if _, err := io.Copy(io.Discard, w.br); err != nil && !gone(err) {
			return err
		}
		return nil
	}}
}

// end reads the end of what the other side sends.
func (w *wire) end(mayReset bool) error {
	rest, err := io.ReadAll(w.br)
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q came where the end was due", rest)
	case err != nil && (!mayReset || !gone(err)):
		return fmt.Errorf("the end was due: %w", err)
	}
	return nil
}

// gone tells whether the other end is no longer there, as against silent.
func gone(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF)
}

func expectBytes(r io.Reader, want string) error {
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil {
		return fmt.Errorf("%q came, want %q: %w", got[:n], want, err)
	}
	if string(got) != want {
		return fmt.Errorf("%q came, want %q", got, want)
	}
	return nil
}

// brief is a text for a message.
func brief(text string) string {
	if len(text) > 120 {
		return fmt.Sprintf("%q and %d bytes more", text[:120], len(text)-120)
	}
	return fmt.Sprintf("%q", text)
}
