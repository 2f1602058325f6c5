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
//
// It begins with all that has a fixed size, the lengths of the texts too, so that neither side looks at
// it byte by byte; then come the texts, one behind the other, and the header fields.

// Where what has a fixed size lies.
const (
	rawNumbers = 16
	rawTexts   = 23
	rawTrace   = 8 * rawNumbers
	rawSpan    = rawTrace + 16
	rawLengths = rawSpan + 8
	rawFixed   = rawLengths + 4*rawTexts
)

// AppendRaw appends the record and the number of its id.
func AppendRaw(b []byte, number uint64, r *Record) []byte {
	var fixed [rawFixed]byte
	for i, n := range [rawNumbers]uint64{
		number, uint64(r.ArrivedAt.Unix()), uint64(r.ArrivedAt.Nanosecond()), //nolint:gosec // G115: all are read back as they were
		uint64(r.Took), uint64(r.Waited), uint64(r.FirstByte), uint64(r.Upstream), //nolint:gosec // G115: likewise
		uint64(r.PeerPort), uint64(r.Tries), uint64(r.Status), uint64(r.RequestBytes), uint64(r.ResponseBytes), //nolint:gosec // G115: likewise
		uint64(r.GenAI.InputTokens), uint64(r.GenAI.OutputTokens), math.Float64bits(r.SampleRate), oneIf(r.Uncounted), //nolint:gosec // G115: likewise
	} {
		binary.LittleEndian.PutUint64(fixed[8*i:], n)
	}
	copy(fixed[rawTrace:], r.TraceID[:])
	copy(fixed[rawSpan:], r.SpanID[:])
	texts := r.texts()
	for i, s := range texts {
		binary.LittleEndian.PutUint32(fixed[rawLengths+4*i:], uint32(len(*s))) //nolint:gosec // G115: no head of a request has 4 GiB
	}
	b = append(b, fixed[:]...)
	for _, s := range texts {
		b = append(b, *s...)
	}
	return appendHeaders(appendHeaders(b, r.RequestHeaders), r.ResponseHeaders)
}

func oneIf(is bool) uint64 {
	if is {
		return 1
	}
	return 0
}

// texts are all the texts of a record, in the order in which they are copied.
func (r *Record) texts() [rawTexts]*string {
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

// raw is what was not read yet of the header fields. Texts that are read are parts of it.
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
	if len(s) < rawFixed {
		return 0, "", errRaw
	}
	fixed := s[:rawFixed]
	var n [rawNumbers]int64
	for i := range n {
		n[i] = int64(number64(fixed[8*i:])) //nolint:gosec // G115: as it was written
	}
	*r = Record{
		ArrivedAt: time.Unix(n[1], n[2]), Took: time.Duration(n[3]), Waited: time.Duration(n[4]), FirstByte: time.Duration(n[5]), Upstream: time.Duration(n[6]),
		PeerPort: uint16(n[7]), Tries: int(n[8]), Status: int(n[9]), RequestBytes: n[10], ResponseBytes: n[11], //nolint:gosec // G115: as it was written
		SampleRate: math.Float64frombits(uint64(n[14])), //nolint:gosec // G115: likewise
	}
	r.GenAI.InputTokens, r.GenAI.OutputTokens, r.Uncounted = n[12], n[13], n[15] == 1
	copy(r.TraceID[:], fixed[rawTrace:])
	copy(r.SpanID[:], fixed[rawSpan:])
	rest = s[rawFixed:]
	for i, text := range r.texts() {
		length := uint64(number32(fixed[rawLengths+4*i:]))
		if length > uint64(len(rest)) {
			return 0, "", errRaw
		}
		*text, rest = rest[:length], rest[length:]
	}
	w := raw{s: rest}
	r.RequestHeaders, r.ResponseHeaders = w.headers(), w.headers()
	if w.failed {
		return 0, "", errRaw
	}
	return uint64(n[0]), w.s, nil //nolint:gosec // G115: as it was written
}

// number32 and number64 are those of encoding/binary, which has none for what begins a text.
func number32(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func number64(s string) uint64 { return uint64(number32(s)) | uint64(number32(s[4:]))<<32 }
