package accesslog

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// The raw form of a record is a copy of all that is in it, in one row of bytes: what the end of an
// exchange pays for, while the document is written by whoever writes many of them together. It is for
// this process alone, and says nothing about what a document has.

// AppendRaw appends the record and the number of its id.
func AppendRaw(b []byte, number uint64, r *Record) []byte {
	b = binary.AppendUvarint(b, number)
	b = binary.AppendVarint(b, r.ArrivedAt.Unix())
	for _, n := range [...]int64{
		int64(r.ArrivedAt.Nanosecond()), int64(r.Took), int64(r.Waited), int64(r.FirstByte), int64(r.Upstream), int64(r.PeerPort), int64(r.Tries), int64(r.Status),
		r.RequestBytes, r.ResponseBytes, r.GenAI.InputTokens, r.GenAI.OutputTokens, oneIf(r.Uncounted),
	} {
		b = binary.AppendVarint(b, n)
	}
	b = binary.LittleEndian.AppendUint64(append(append(b, r.TraceID[:]...), r.SpanID[:]...), math.Float64bits(r.SampleRate))
	for _, s := range r.texts() {
		b = append(binary.AppendUvarint(b, uint64(len(*s))), *s...)
	}
	return appendHeaders(appendHeaders(b, r.RequestHeaders), r.ResponseHeaders)
}

func oneIf(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// texts are all the texts of a record, in the order in which they are copied.
func (r *Record) texts() [23]*string {
	return [...]*string{
		&r.Method, &r.Scheme, &r.Host, &r.Path, &r.Query, &r.Version, &r.RequestID, &r.UserAgent, &r.Referrer, &r.RequestType, &r.Client, &r.Peer,
		&r.Application.Namespace, &r.Application.Deployment, &r.Pod, &r.Address, &r.PodPath, &r.Policy, &r.WakeUp, &r.ResponseType, &r.GenAI.Model, &r.Refusal, &r.Error,
	}
}

func appendHeaders(b []byte, all []Header) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, h := range all {
		b = append(binary.AppendUvarint(b, uint64(len(h.Name))), h.Name...)
		b = binary.AppendUvarint(b, uint64(len(h.Values)))
		for _, v := range h.Values {
			b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
		}
	}
	return b
}

var errRaw = errors.New("this is no record in its raw form")

// raw is what was not read yet. Texts that are read are parts of it.
type raw struct {
	s      string
	failed bool
}

func (w *raw) uvarint() uint64 {
	var n uint64
	for shift := 0; shift < 64 && len(w.s) > 0; shift += 7 {
		c := w.s[0]
		w.s = w.s[1:]
		if n |= uint64(c&0x7f) << shift; c < 0x80 {
			return n
		}
	}
	w.failed = true
	return 0
}

func (w *raw) varint() int64 {
	u := w.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (w *raw) take(n uint64) string {
	if n > uint64(len(w.s)) {
		w.failed = true
		return ""
	}
	taken := w.s[:n]
	w.s = w.s[n:]
	return taken
}

func (w *raw) headers() []Header {
	n := w.uvarint()
	if n == 0 || n > uint64(len(w.s)) {
		w.failed = w.failed || n > 0
		return nil
	}
	all := make([]Header, 0, n)
	for range n {
		h := Header{Name: w.take(w.uvarint())}
		count := w.uvarint()
		if w.failed || count > uint64(len(w.s)) {
			w.failed = true
			return nil
		}
		for range count {
			h.Values = append(h.Values, w.take(w.uvarint()))
		}
		all = append(all, h)
	}
	return all
}

// ReadRaw reads a record back, and what follows it. Its texts are parts of s.
func ReadRaw(s string, r *Record) (number uint64, rest string, err error) {
	w := raw{s: s}
	number = w.uvarint()
	seconds := w.varint()
	var n [13]int64
	for i := range n {
		n[i] = w.varint()
	}
	*r = Record{
		ArrivedAt: time.Unix(seconds, n[0]), Took: time.Duration(n[1]), Waited: time.Duration(n[2]), FirstByte: time.Duration(n[3]), Upstream: time.Duration(n[4]),
		PeerPort: uint16(n[5]), Tries: int(n[6]), Status: int(n[7]), RequestBytes: n[8], ResponseBytes: n[9], //nolint:gosec // as it was written
	}
	r.GenAI.InputTokens, r.GenAI.OutputTokens, r.Uncounted = n[10], n[11], n[12] == 1
	copy(r.TraceID[:], w.take(uint64(len(r.TraceID))))
	copy(r.SpanID[:], w.take(uint64(len(r.SpanID))))
	if bits := w.take(8); !w.failed {
		r.SampleRate = math.Float64frombits(binary.LittleEndian.Uint64([]byte(bits)))
	}
	for _, s := range r.texts() {
		*s = w.take(w.uvarint())
	}
	r.RequestHeaders, r.ResponseHeaders = w.headers(), w.headers()
	if w.failed {
		return 0, "", errRaw
	}
	return number, w.s, nil
}
