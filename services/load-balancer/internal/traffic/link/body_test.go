package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// pieces is a connection on which bytes come in pieces, and then its end or a fault.
type pieces struct {
	net.Conn
	come [][]byte
	end  error
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

func (p *pieces) Read(into []byte) (int, error) {
	if len(p.come) == 0 {
		return 0, p.end
	}
	n := copy(into, p.come[0])
	if p.come[0] = p.come[0][n:]; len(p.come[0]) == 0 {
		p.come = p.come[1:]
	}
	return n, nil
}

// split is a connection on which a text comes in pieces of so many bytes.
func split(text string, step int, end error) *Conn {
	p := &pieces{end: end}
	for len(text) > 0 {
		n := min(step, len(text))
		p.come, text = append(p.come, []byte(text[:n])), text[n:]
	}
	return New(p)
}

// readAll reads a body into room for so many bytes at a time; each read gives something or an error.
func readAll(t *testing.T, f *Framed, room int) (string, error) {
	t.Helper()
	var all bytes.Buffer
	p := make([]byte, room)
	for {
		n, err := f.Read(p)
		all.Write(p[:n])
		switch {
		case errors.Is(err, io.EOF):
			if !f.Ended() {
				t.Error("the end is not kept")
			}
			return all.String(), nil
		case err != nil:
			if f.Ended() {
				t.Errorf("it has ended after %v", err)
			}
			return all.String(), err
		case n == 0:
			t.Fatal("nothing is read")
		}
	}
}

// framings are bodies and what frames them; "rest" follows those that end by themselves.
var framings = []struct {
	name     string
	wire     string
	length   int64
	untilEnd bool
	want     string
	trailer  string
	rest     string
}{
	{"a length", "hello, worldrest", 12, false, "hello, world", "", "rest"},
	{"no bytes", "rest", 0, false, "", "", "rest"},
	{"chunks", "5\r\nhello\r\n7;a=b\r\n, world\r\n0\r\n\r\nrest", -1, false, "hello, world", "", "rest"},
	{"no chunks", "0\r\n\r\nrest", -1, false, "", "", "rest"},
	{"chunks and a trailer", "c\r\nhello, world\r\n0\r\nSum: 1\r\n\r\nrest", -1, false, "hello, world", "1", "rest"},
	{"until the end", "hello, world", -1, true, "hello, world", "", ""},
	{"nothing until the end", "", -1, true, "", "", ""},
	{"large chunks", fmt.Sprintf("%x\r\n%s\r\n1\r\nx\r\n0\r\n\r\nrest", 9000, strings.Repeat("y", 9000)), -1, false, strings.Repeat("y", 9000) + "x", "", "rest"},
}

func TestFramed_GivesTheBodyHoweverItComesAndIsRead(t *testing.T) {
	for _, c := range framings {
		for _, step := range []int{1, 2, 3, 5, 7, 100, 1 << 20} {
			for _, room := range []int{1, 2, 5, 4096, 1 << 20} {
				conn := split(c.wire, step, io.EOF)
				var f Framed
				f.Begin(conn, c.length, c.untilEnd)
				if f.Ended() != (c.length == 0) {
					t.Fatalf("%s: ended is %v at first", c.name, f.Ended())
				}
				got, err := readAll(t, &f, room)
				if got != c.want || err != nil {
					t.Fatalf("%s, by %d into %d: %q, %v", c.name, step, room, got, err)
				}
				if f.Trailer().Named("sum") != c.trailer {
					t.Errorf("%s: trailer %v", c.name, f.Trailer())
				}
				if n, err := f.Read(make([]byte, 9)); n != 0 || !errors.Is(err, io.EOF) || !errors.Is(f.Await(nil), io.EOF) || f.Buffered() != 0 {
					t.Errorf("%s: after its end: %d, %v, %v, %d buffered", c.name, n, err, f.Await(nil), f.Buffered())
				}
				if rest, err := io.ReadAll(conn); string(rest) != c.rest || err != nil {
					t.Fatalf("%s, by %d into %d: %q follows, %v", c.name, step, room, rest, err)
				}
			}
		}
	}
}

func TestFramed_TellsTheEndWithTheLastPart(t *testing.T) {
	for _, c := range framings {
		if c.untilEnd || c.want == "" || len(c.want) > 4000 {
			continue
		}
		var f Framed
		f.Begin(split(c.wire, 1<<20, io.EOF), c.length, false)
		p := make([]byte, len(c.want)) // no more room than for the data
		if n, err := f.Read(p); string(p[:n]) != c.want || !errors.Is(err, io.EOF) || !f.Ended() {
			t.Errorf("%s: %q, %v", c.name, p[:n], err)
		}
	}
}

func TestFramed_ABodyThatIsCutIsNotWhole(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range framings {
		if c.untilEnd {
			continue
		}
		whole := strings.TrimSuffix(c.wire, c.rest)
		for at := range len(whole) {
			if at > 50 && at < len(whole)-50 {
				continue
			}
			for _, end := range []error{io.EOF, broken} {
				want := end
				if errors.Is(want, io.EOF) {
					want = io.ErrUnexpectedEOF
				}
				var f Framed
				f.Begin(split(whole[:at], 7, end), c.length, false)
				got, err := readAll(t, &f, 100)
				if err != want || !strings.HasPrefix(c.want, got) { //nolint:errorlint // it must be returned as it is
					t.Fatalf("%s, cut at %d: %q, %v", c.name, at, got, err)
				}
				if _, err := f.Read(make([]byte, 1)); err != want { //nolint:errorlint // as before
					t.Errorf("%s, cut at %d, read again: %v", c.name, at, err)
				}
			}
		}
	}
}

func TestFramed_UntilTheEndAFaultIsNoEnd(t *testing.T) {
	broken := errors.New("broken")
	var f Framed
	f.Begin(split("hello", 2, broken), -1, true)
	if got, err := readAll(t, &f, 3); got != "hello" || err != broken { //nolint:errorlint // it must be returned as it is
		t.Errorf("%q, %v", got, err)
	}
}

// What follows a fault is never taken for the next message, however the pieces fall.
func TestFramed_AFaultIsMetAgainAndAgainAndIsNoEnd(t *testing.T) {
	for name, wire := range map[string]string{
		"a request as a trailer":   "1\r\nx\r\n0\r\nGET /admin HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"a bare LF in a trailer":   "1\r\nx\r\n0\r\nA: b\nC: d\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"a bare LF behind a size":  "1\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"more data than said":      "1\r\nxy\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"a size that is none":      "1\r\nx\r\nz\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"a trailer without an end": "1\r\nx\r\n0\r\n" + strings.Repeat("A: b\r\n", 5000),
	} {
		for _, step := range []int{1, 2, 5, 30, 1 << 20} {
			for _, room := range []int{1, 2, 100} {
				var f Framed
				f.Begin(split(wire, step, io.EOF), -1, false)
				_, err := readAll(t, &f, room)
				fault, ok := errors.AsType[*message.Error](err)
				if !ok {
					t.Fatalf("%s, by %d into %d: %v", name, step, room, err)
				}
				for range 3 {
					if n, err := f.Read(make([]byte, room)); n != 0 || err == nil || err.Error() != fault.Error() || f.Ended() {
						t.Fatalf("%s, by %d into %d: read again: %d, %v, ended %v", name, step, room, n, err, f.Ended())
					}
				}
			}
		}
	}
}

func TestFramed_AwaitReturnsWhenMoreHasCome(t *testing.T) {
	for _, c := range framings {
		var f Framed
		f.Begin(split(c.wire, 4, io.EOF), c.length, c.untilEnd)
		var got bytes.Buffer
		p := make([]byte, 3)
		for {
			if f.Buffered() == 0 {
				if err := f.Await(nil); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
			}
			n, err := f.Read(p)
			got.Write(p[:n])
			if errors.Is(err, io.EOF) {
				break
			}
		}
		if got.String() != c.want || !f.Ended() {
			t.Errorf("%s: %q, ended %v", c.name, got.String(), f.Ended())
		}
	}
	var f Framed
	f.Begin(split("hel", 10, io.EOF), 5, false)
	if err := f.Await(nil); err != nil || f.Buffered() != 3 {
		t.Errorf("%v, %d", err, f.Buffered())
	}
	_, _ = f.Read(make([]byte, 3))
	if err := f.Await(nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
}

func TestFramed_WithoutRoomNothingIsRead(t *testing.T) {
	for _, c := range framings {
		var f Framed
		f.Begin(split(c.wire, 100, io.EOF), c.length, c.untilEnd)
		if n, err := f.Read(nil); n != 0 || err != nil && !f.Ended() {
			t.Errorf("%s: %d, %v", c.name, n, err)
		}
	}
}

func TestFramed_ALargePartGoesPastTheBuffer(t *testing.T) {
	near, far := loopback(t)
	c := New(near)
	var f Framed
	f.Begin(c, -1, false)
	body := strings.Repeat("0123456789abcdef", 64<<10)
	go func() {
		send(t, far, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body))
	}()
	p, past, at := make([]byte, len(body)), 0, 0
	for at < len(body) {
		held := c.buffer != nil
		n, err := f.Read(p[at:])
		if !held && c.buffer == nil {
			past += n
		}
		if at += n; errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if string(p) != body || past < len(body)/2 {
		t.Errorf("%d bytes of %d went past the buffer", past, at)
	}
}
