package link

import (
	"bytes"
	"testing"
)

func TestGet_GivesWhatIsAskedForAndNotMuchMore(t *testing.T) {
	for _, n := range []int{-1, 0, 1, smallest, smallest + 1, 5000, 8 << 10, 100_000, largest - 1, largest, largest + 1, 10 * largest} {
		b := get(n)
		if len(b.bytes) < n || len(b.bytes) > max(2*n, smallest) {
			t.Errorf("%d bytes for %d", len(b.bytes), n)
		}
		put(b)
		if again := get(n); len(again.bytes) < n {
			t.Errorf("%d bytes for %d, used again", len(again.bytes), n)
		}
	}
}

func TestOutput_TakesMemoryWhenSomethingIsPutInAndGivesItBack(t *testing.T) {
	var o Output
	o.Empty()
	o.Grow(10)
	if o.buffer == nil || len(o.Bytes) != 0 || cap(o.Bytes) < 10 {
		t.Fatalf("%d of %d bytes", len(o.Bytes), cap(o.Bytes))
	}
	o.Bytes = append(o.Bytes, "hello"...)
	before := &o.Bytes[0]
	o.Grow(100)
	if &o.Bytes[0] != before || string(o.Bytes) != "hello" {
		t.Error("it moved though there was room")
	}
	o.Empty()
	if o.buffer != nil || o.Bytes != nil {
		t.Error("it is held")
	}
}

func TestOutput_KeepsWhatIsInItHoweverItGrows(t *testing.T) {
	var o Output
	var want []byte
	for _, n := range []int{1, 100, 4000, 5000, 30_000, 3, 200_000, largest, 1, 3 * largest} {
		part := bytes.Repeat([]byte{byte(n)}, n)
		o.Grow(n)
		if cap(o.Bytes)-len(o.Bytes) < n {
			t.Fatalf("there is no room for %d", n)
		}
		o.Bytes, want = append(o.Bytes, part...), append(want, part...)
		if !bytes.Equal(o.Bytes, want) {
			t.Fatalf("after %d bytes it is another", n)
		}
	}
	o.Empty()
}

func TestOutput_BearsOneThatPutsInMoreThanItSaid(t *testing.T) {
	var o Output
	o.Grow(1)
	o.Bytes = append(o.Bytes, bytes.Repeat([]byte("x"), 3*smallest)...)
	o.Grow(smallest)
	if len(o.Bytes) != 3*smallest || len(bytes.Trim(o.Bytes, "x")) != 0 || cap(o.Bytes) < 4*smallest {
		t.Errorf("%d of %d bytes", len(o.Bytes), cap(o.Bytes))
	}
	o.Empty()
}
