package ingest

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// Pushes are most of what the controller is sent, and nearly all are alike, so they are read here
// without reflection and without the contract's validator. What is read here the contract takes too,
// and means the same by it; a fuzz test holds the two together. What is not read here (it is at fault,
// or written as no sidecar writes it) is for the validator, which has the words for a refusal.

// The contract's bounds of a push; a test compares them.
const (
	maxName      = 253
	maxNamespace = 63
	maxAge       = 86400
	maxWindow    = 86400
	minValid     = 1
	maxValid     = 120
)

// gauges are the values of a push, each with the largest that the contract takes; the least is 0.
var gauges = [...]struct {
	gauge fleet.Gauge
	most  float64
}{
	{fleet.CPUUsage, 1e9},
	{fleet.MemoryUsage, 1e12},
	{fleet.DiskUsage, 1e12},
	{fleet.ResponseTime, 1e9},
	{fleet.GPUUsage, 100},
	{fleet.GPUMemoryUsage, 1e12},
	{fleet.GPUPower, 1e6},
	{fleet.InFlight, 1e9},
	{fleet.Queued, 1e9},
	{fleet.CacheUsage, 1},
	{fleet.RequestRate, 1e9},
	{fleet.TimeToFirstToken, 1e9},
}

// push is one PodMetrics as it was sent.
type push struct {
	pod, namespace     string
	age, window, valid float64 // seconds; 0: not given
	values             [len(gauges)]float64
	seen               uint32 // the fields that were given, those of metrics first
}

// The fields beside the values, as bits of seen.
const (
	seenPod = 1 << (len(gauges) + iota)
	seenNamespace
	seenMetrics
	seenAge
	seenWindow
	seenValid
)

// fields are the names of a push's own fields.
var fields = map[string]uint32{
	"podName": seenPod, "namespace": seenNamespace, "metrics": seenMetrics,
	"ageSeconds": seenAge, "windowSeconds": seenWindow, "validSeconds": seenValid,
}

// values are the names of the values.
var values = func() map[string]uint32 {
	m := map[string]uint32{}
	for i, g := range gauges {
		m[string(g.gauge)] = 1 << i
	}
	return m
}()

// decoder reads pushes; it is used again.
type decoder struct {
	json *jsontext.Decoder
	from bytes.Buffer
}

var decoders = sync.Pool{New: func() any {
	d := &decoder{}
	d.json = jsontext.NewDecoder(&d.from, duplicates)
	return d
}}

// duplicates are looked for here, among the names that are known.
var duplicates = jsontext.AllowDuplicateNames(true)

func (d *decoder) reset(body []byte) {
	d.from = *bytes.NewBuffer(body)
	d.json.Reset(&d.from, duplicates)
}

// read reads one push. When it is not understood, the contract is to judge.
func read(body []byte) (p push, understood bool) {
	d := decoders.Get().(*decoder)
	d.reset(body)
	understood = d.push(&p) && d.ended()
	d.reset(nil)
	decoders.Put(d)
	return p, understood
}

func (d *decoder) push(p *push) bool {
	return d.object(fields, &p.seen, func(field uint32) bool {
		switch field {
		case seenPod:
			return d.text(&p.pod, isName)
		case seenNamespace:
			return d.text(&p.namespace, isNamespace)
		case seenAge:
			return d.number(&p.age, 0, maxAge)
		case seenWindow:
			return d.number(&p.window, 0, maxWindow)
		case seenValid:
			return d.number(&p.valid, minValid, maxValid)
		default:
			return d.object(values, &p.seen, func(value uint32) bool {
				i := index(value)
				return d.number(&p.values[i], 0, gauges[i].most)
			})
		}
	}) && p.seen&(seenPod|seenNamespace|seenMetrics) == seenPod|seenNamespace|seenMetrics
}

// object reads an object whose names are known, each at most once; others are passed over.
func (d *decoder) object(names map[string]uint32, seen *uint32, value func(field uint32) bool) bool {
	if begin, err := d.json.ReadToken(); err != nil || begin.Kind() != jsontext.KindBeginObject {
		return false
	}
	for d.json.PeekKind() == jsontext.KindString {
		name, ok := d.plain()
		if !ok {
			return false
		}
		field, known := names[string(name)]
		switch {
		case known && *seen&field != 0:
			return false
		case known:
			*seen |= field
			if !value(field) {
				return false
			}
		case !d.unknown(names, name):
			return false
		}
	}
	end, err := d.json.ReadToken()
	return err == nil && end.Kind() == jsontext.KindEndObject
}

// unknown passes over a field of a later version. What could be taken for another one by its name, or
// has a value in which something may be at fault, is for the contract.
func (d *decoder) unknown(names map[string]uint32, name []byte) bool {
	for known := range names {
		if strings.EqualFold(known, string(name)) {
			return false
		}
	}
	switch d.json.PeekKind() {
	case jsontext.KindNumber:
		var ignored float64
		raw, err := d.json.ReadValue()
		return err == nil && parse(raw, &ignored)
	case jsontext.KindString, jsontext.KindTrue, jsontext.KindFalse, jsontext.KindNull:
		return d.json.SkipValue() == nil
	default:
		return false
	}
}

// plain is a text without escapes; it lasts until the next is read.
func (d *decoder) plain() ([]byte, bool) {
	raw, err := d.json.ReadValue()
	if err != nil || raw.Kind() != jsontext.KindString || bytes.IndexByte(raw, '\\') >= 0 {
		return nil, false
	}
	return raw[1 : len(raw)-1], true
}

func (d *decoder) text(to *string, allowed func([]byte) bool) bool {
	raw, ok := d.plain()
	if !ok || !allowed(raw) {
		return false
	}
	*to = string(raw)
	return true
}

func (d *decoder) number(to *float64, least, most float64) bool {
	raw, err := d.json.ReadValue()
	return err == nil && raw.Kind() == jsontext.KindNumber && parse(raw, to) && *to >= least && *to <= most
}

// ended tells that nothing but space follows.
func (d *decoder) ended() bool {
	_, err := d.json.ReadToken()
	return errors.Is(err, io.EOF)
}

func parse(raw []byte, to *float64) bool {
	v, err := strconv.ParseFloat(string(raw), 64)
	*to = v
	return err == nil
}

// index is the place of the one bit that is set.
func index(bit uint32) int {
	i := 0
	for bit >>= 1; bit != 0; bit >>= 1 {
		i++
	}
	return i
}

// isName and isNamespace are the contract's patterns for them.
func isName(b []byte) bool      { return len(b) <= maxName && labelled(b, true) }
func isNamespace(b []byte) bool { return len(b) <= maxNamespace && labelled(b, false) }

func labelled(b []byte, dots bool) bool {
	if len(b) == 0 || !alphanumeric(b[0]) || !alphanumeric(b[len(b)-1]) {
		return false
	}
	for _, c := range b {
		if !alphanumeric(c) && c != '-' && (c != '.' || !dots) {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// measurement is what the push means, when it comes now.
func (p *push) measurement(now time.Time) fleet.Measurement {
	m := fleet.Measurement{
		Pod: fleet.PodName{Namespace: p.namespace, Name: p.pod}, Source: fleet.Sidecar, At: now.Add(-seconds(p.age)), ValidFor: seconds(p.valid),
		Values: make(map[fleet.Gauge]float64, len(gauges)),
	}
	if p.seen&seenWindow != 0 {
		m.From = m.At.Add(-seconds(p.window))
	}
	for i, g := range gauges {
		if p.seen&(1<<i) != 0 {
			m.Values[g.gauge] = p.values[i]
		}
	}
	return m
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
