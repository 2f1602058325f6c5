package accesslog

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRaw_BringsBackAllOfARecord(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 9))
	var row []byte
	var want []Record
	for n := range 2000 {
		r := some(random)
		if n%2 == 0 {
			r = full()
		}
		want = append(want, r)
		row = AppendRaw(row, uint64(n)<<n%60, &r)
	}
	rest := string(row)
	for n, w := range want {
		var got Record
		number, after, err := ReadRaw(rest, &got)
		if err != nil || number != uint64(n)<<n%60 {
			t.Fatalf("record %d: number %d, %v", n, number, err)
		}
		if diff := cmp.Diff(w, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("record %d (-written +read)\n%s", n, diff)
		}
		one, other := AppendNumbered(nil, "e.", number, &w, options), AppendNumbered(nil, "e.", number, &got, options)
		if string(one) != string(other) {
			t.Fatalf("another document:\n%s\n%s", one, other)
		}
		rest = after
	}
	if rest != "" {
		t.Errorf("%d bytes are left", len(rest))
	}
}

func TestRaw_AllocatesNothing(t *testing.T) {
	r, buffer := full(), make([]byte, 0, 16<<10)
	if n := testing.AllocsPerRun(100, func() { AppendRaw(buffer, 1, &r) }); n > 0 {
		t.Errorf("%v allocations to write", n)
	}
	r.RequestHeaders, r.ResponseHeaders = nil, nil
	text := string(AppendRaw(nil, 1, &r))
	if n := testing.AllocsPerRun(100, func() { _, _, _ = ReadRaw(text, &r) }); n > 0 {
		t.Errorf("%v allocations to read", n)
	}
}

func FuzzReadRaw(f *testing.F) {
	r := full()
	f.Add(string(AppendRaw(nil, 7, &r)))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		var r Record
		number, rest, err := ReadRaw(s, &r)
		if err != nil {
			return
		}
		var again Record
		if n, after, err := ReadRaw(string(AppendRaw(nil, number, &r))+rest, &again); err != nil || n != number || after != rest || !cmp.Equal(r, again, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()) {
			t.Errorf("%+v is read as %+v: %v", r, again, err)
		}
	})
}

func BenchmarkAppendRaw(b *testing.B) {
	r, buffer := full(), make([]byte, 0, 16<<10)
	r.RequestHeaders, r.ResponseHeaders = nil, nil
	b.ReportAllocs()
	for b.Loop() {
		buffer = AppendRaw(buffer[:0], 1<<20, &r)
	}
	b.ReportMetric(float64(len(buffer)), "bytes")
}
