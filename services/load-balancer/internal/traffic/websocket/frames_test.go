package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// frame is one as a test describes it.
type frame struct {
	opcode  byte
	more    bool // the message goes on in another one
	masked  bool
	payload int
	form    int // bytes of the length: 0, 2 or 8
}

func (f frame) bytes() []byte {
	b := []byte{f.opcode | final, 0}
	if f.more {
		b[0] &^= final
	}
	switch f.form {
	case 0:
		b[1] = byte(f.payload)
	case 2:
		b[1] = twoBytes
		b = binary.BigEndian.AppendUint16(b, uint16(f.payload))
	default:
		b[1] = eightBytes
		b = binary.BigEndian.AppendUint64(b, uint64(f.payload))
	}
	if f.masked {
		b[1] |= maskBit
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, bytes.Repeat([]byte{0x88}, f.payload)...) // which looks like frames that close
}

const (
	more = 0x0
	text = 0x1
	ping = 0x9
)

func TestFrames_EndWhereTheirHeadersSay(t *testing.T) {
	for name, f := range map[string]frame{
		"nothing":                   {text, false, false, 0, 0},
		"nothing, masked":           {text, false, true, 0, 0},
		"a byte":                    {text, false, false, 1, 0},
		"the longest short one":     {text, false, true, 125, 0},
		"two bytes of length":       {text, false, false, 126, 2},
		"two bytes, masked":         {text, false, true, 65535, 2},
		"two bytes that say little": {text, false, false, 3, 2},
		"eight bytes of length":     {text, false, false, 70_000, 8},
		"eight bytes, masked":       {text, false, true, 70_000, 8},
		"eight that say nothing":    {text, false, true, 0, 8},
		"the first of several":      {text, true, false, 5, 0},
		"a ping":                    {ping, false, false, 5, 0},
		"an opcode of the future":   {0x3, false, false, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			whole := f.bytes()
			for size := 1; size <= len(whole); size = size*3 + 1 {
				var frames Frames
				for rest := whole; len(rest) > 0; {
					part := rest[:min(size, len(rest))]
					if n := frames.ToEnd(part); n != len(part) {
						t.Fatalf("in parts of %d it ends %d bytes early", size, len(rest)-n)
					}
					if rest = rest[len(part):]; frames.Between() != (len(rest) == 0) {
						t.Fatalf("in parts of %d, with %d bytes to come: between %v", size, len(rest), frames.Between())
					}
				}
			}
			var frames Frames
			if n := frames.ToEnd(append(whole, 0x81)); n != len(whole) || !frames.Between() {
				t.Errorf("it ends at %d of %d", n, len(whole))
			}
		})
	}
}

func TestFrames_AMessageMayBeOfSeveralAndOthersStandBetween(t *testing.T) {
	var frames Frames
	for i, step := range []struct {
		frame   frame
		between bool
	}{
		{frame{text, true, true, 5, 0}, false},
		{frame{ping, false, true, 0, 0}, false},
		{frame{more, true, true, 200, 2}, false},
		{frame{0xa, false, true, 3, 0}, false},
		{frame{more, false, true, 0, 0}, true},
		{frame{ping, false, true, 0, 0}, true},
		{frame{0x2, false, true, 9, 0}, true},
	} {
		frames.Pass(step.frame.bytes())
		if !frames.Between() || frames.BetweenMessages() != step.between || frames.Closed() {
			t.Errorf("after frame %d: between %v, messages %v, closed %v", i, frames.Between(), frames.BetweenMessages(), frames.Closed())
		}
	}
}

func TestFrames_ClosedIsSeenWhenTheWholeFrameHasPassed(t *testing.T) {
	whole := AppendMaskedClose(nil, [4]byte{1, 2, 3, 4}, GoingAway, "why")
	var frames Frames
	frames.Pass(whole[:len(whole)-1])
	if frames.Closed() || frames.Between() {
		t.Error("it is closed by a part of a frame")
	}
	frames.Pass(whole[len(whole)-1:])
	if !frames.Closed() || !frames.Between() {
		t.Error("it is not closed")
	}
}

// Whoever says a length that nobody may say speaks no WebSocket: nothing may be put between.
func TestFrames_ALengthThatCannotBeIsNeverBetween(t *testing.T) {
	for _, masked := range []byte{0, maskBit} {
		var frames Frames
		frames.Pass([]byte{0x82, eightBytes | masked, 0x80, 0, 0, 0, 0, 0, 0, 0})
		for range 3 {
			if frames.Pass([]byte{0x88, 0}); frames.Between() || frames.BetweenMessages() || frames.Closed() {
				t.Error("the next frame is known to begin")
			}
		}
	}
	var longest Frames // that can be said
	longest.Pass([]byte{0x82, eightBytes | maskBit, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5})
	if longest.lost || longest.left != mostPayload-1 {
		t.Errorf("%d are left", longest.left)
	}
}

// However a row of frames is cut into parts, each of its ends is found, and no other place.
func TestFrames_EveryEndIsFoundHoweverTheBytesCome(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var row []byte
		ends, messages := map[int]bool{0: true}, map[int]bool{0: true}
		within := false
		for range 1 + random.IntN(12) {
			f := frame{[]byte{more, text, 0x2, ping, 0xa}[random.IntN(5)], random.IntN(2) == 0, random.IntN(2) == 0, random.IntN(126), 0}
			if f.form = []int{0, 2, 8}[random.IntN(3)]; f.form > 0 {
				f.payload = random.IntN(1000)
			}
			if f.opcode < control {
				within = f.more
			}
			row = append(row, f.bytes()...)
			ends[len(row)], messages[len(row)] = true, !within
		}
		var frames Frames
		for at := 0; at < len(row); {
			part := row[at:min(at+1+random.IntN(300), len(row))]
			for len(part) > 0 {
				n := frames.ToEnd(part)
				if part, at = part[n:], at+n; frames.Between() != ends[at] || frames.BetweenMessages() != messages[at] {
					t.Fatalf("at %d of %d: between %v, messages %v", at, len(row), frames.Between(), frames.BetweenMessages())
				}
				if len(part) > 0 && !ends[at] {
					t.Fatalf("at %d of %d: it stops where nothing ends", at, len(row))
				}
			}
		}
	}
}

func TestFrames_AllocateNothing(t *testing.T) {
	row := frame{text, false, true, 3000, 2}.bytes()
	var frames Frames
	if n := testing.AllocsPerRun(100, func() { frames.Pass(row) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// reference reads a header by the book, out of what is there at once; ok false: it is not all there.
func reference(p []byte) (size uint64, opcode byte, fin, lost, ok bool) {
	if len(p) < 2 {
		return 0, 0, false, false, false
	}
	size, payload := uint64(2), uint64(p[1]&0x7f)
	switch payload {
	case 126:
		if len(p) < 4 {
			return 0, 0, false, false, false
		}
		size, payload = 4, uint64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		if len(p) < 10 {
			return 0, 0, false, false, false
		}
		size, payload = 10, binary.BigEndian.Uint64(p[2:])
	}
	if payload>>63 != 0 {
		return 0, 0, false, true, true
	}
	if p[1]&0x80 != 0 {
		size += 4
	}
	return size + payload, p[0] & 0xf, p[0]&0x80 != 0, false, true
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x05hello\x89\x00\x01\x82\x01\x02\x03\x04ab\x88\x02\x03\xe9"), uint8(3))
	f.Add([]byte("\x82\x7e\x00\x7eabc"), uint8(1))
	f.Add([]byte("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00abc"), uint8(2))
	f.Add([]byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffabc"), uint8(9))
	f.Fuzz(func(t *testing.T, row []byte, size uint8) {
		ends, closed, lost, within := map[int]bool{0: true}, -1, false, map[int]bool{}
		going := false
		for at := 0; !lost; {
			n, opcode, fin, gone, ok := reference(row[at:])
			if lost = gone; lost || !ok || n > uint64(len(row)-at) {
				break
			}
			if at += int(n); opcode < 8 {
				going = !fin
			}
			ends[at], within[at] = true, going
			if opcode == 8 && closed < 0 {
				closed = at
			}
		}
		var frames Frames
		for at := 0; at < len(row); {
			part := row[at:min(at+1+int(size), len(row))]
			n := frames.ToEnd(part)
			if n <= 0 || n > len(part) {
				t.Fatalf("%d bytes of %d", n, len(part))
			}
			at += n
			if frames.Between() != ends[at] || frames.Closed() != (closed >= 0 && at >= closed) {
				t.Fatalf("at %d: between %v, closed %v", at, frames.Between(), frames.Closed())
			}
			if frames.BetweenMessages() != (ends[at] && !within[at]) {
				t.Fatalf("at %d: between messages %v", at, frames.BetweenMessages())
			}
		}
		if frames.lost != lost {
			t.Fatalf("lost %v, want %v", frames.lost, lost)
		}
	})
}

func TestClose_IsAFrameThatSaysWhy(t *testing.T) {
	key := [4]byte{0xa1, 0xb2, 0xc3, 0xd4}
	for _, reason := range []string{"", "a", "going", strings.Repeat("x", 123)} {
		plain, masked := AppendClose([]byte("before"), GoingAway, reason)[6:], AppendMaskedClose(nil, key, GoingAway, reason)
		if plain[0] != 0x88 || int(plain[1]) != len(plain)-2 || string(plain[2:]) != "\x03\xe9"+reason {
			t.Errorf("%q: %q", reason, plain)
		}
		open := bytes.Clone(masked[6:])
		for i := range open {
			open[i] ^= key[i%4]
		}
		if masked[0] != 0x88 || masked[1] != 0x80|plain[1] || !bytes.Equal(masked[2:6], key[:]) || !bytes.Equal(open, plain[2:]) {
			t.Errorf("%q: %q", reason, masked)
		}
		for _, b := range [][]byte{plain, masked} {
			var frames Frames
			if n := frames.ToEnd(b); n != len(b) || !frames.Between() || !frames.Closed() {
				t.Errorf("%q: it ends at %d of %d", reason, n, len(b))
			}
		}
	}
	if got := fmt.Sprintf("%q", AppendClose(nil, GoingAway, strings.Repeat("x", 124))); got != `"\x88\x02\x03\xe9"` {
		t.Errorf("with a reason that is too long: %s", got)
	}
}
