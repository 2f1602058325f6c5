package elastic

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// entryOf is one with a number.
func entryOf(n int) string {
	return fmt.Sprintf(`{"create":{"_index":"logs-x","_id":"id.%d"}}`+"\n"+`{"n":%d}`+"\n", n, n)
}

// batches are an outbox that has these, each as large as it is asked for.
type batches struct {
	left    []string // entries
	given   int
	asked   []int // how many bytes
	doubted int
	garbage string // before the first entry, until it is doubted
	end     context.CancelFunc
}

func (b *batches) Next(_ context.Context, most int, _ time.Duration) (io.ReaderAt, int64, int, error) {
	if b.asked = append(b.asked, most); len(b.left) == 0 {
		b.end()
		return nil, 0, 0, errors.New("nothing is left")
	}
	body := b.garbage
	for b.given = 0; b.given < len(b.left) && (b.given == 0 || len(body)+len(b.left[b.given]) <= most); b.given++ {
		body += b.left[b.given]
	}
	return strings.NewReader(body), int64(len(body)), b.given, nil
}
func (b *batches) Commit() { b.left = b.left[b.given:] }
func (b *batches) Doubt()  { b.doubted, b.garbage = b.doubted+1, "" }

// aside are dead letters in memory.
type aside []string

func (a *aside) Add(entry []byte, why string) error {
	*a = append(*a, string(entry)+why)
	return nil
}

// call is one bulk request, unpacked.
type call struct {
	body   string
	packed bool
	length int64
}

// shipAll ships entries to a server that answers as it is told, and returns what it was asked.
func shipAll(t *testing.T, b *batches, packs bool, answer func(n int, c call) (int, string)) (calls []call, dead aside, s *Shipper) {
	t.Helper()
	return shipThem(t, b, packs, func(_ *Shipper, n int, c call) (int, string) { return answer(n, c) })
}

// shipAllWith is shipAll for an answer that looks at the shipper, which waits for it.
func shipAllWith(t *testing.T, b *batches, answer func(s *Shipper, n int) (int, string)) (calls []call, dead aside, s *Shipper) {
	t.Helper()
	return shipThem(t, b, false, func(s *Shipper, n int, _ call) (int, string) { return answer(s, n) })
}

func shipThem(t *testing.T, b *batches, packs bool, answer func(s *Shipper, n int, c call) (int, string)) (calls []call, dead aside, s *Shipper) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{length: r.ContentLength, packed: r.Header.Get("Content-Encoding") == "gzip"}
		body := io.Reader(r.Body)
		if c.packed {
			var err error
			if body, err = gzip.NewReader(r.Body); err != nil {
				t.Error(err)
				return
			}
		}
		raw, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		c.body = string(raw)
		calls = append(calls, c)
		status, said := answer(s, len(calls), c)
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, said)
	}))
	defer server.Close()
	client, err := New(Options{URLs: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.end = cancel
	s = NewShipper(client, ShipperOptions{
		Outbox: b, DeadLetters: &dead, Gzip: packs, Random: func() float64 { return 0 }, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	s.Run(ctx)
	if len(b.left) > 0 {
		t.Errorf("%d entries are left", len(b.left))
	}
	return calls, dead, s
}

// took is the answer that n entries were taken.
func took(n int) (int, string) {
	return http.StatusOK, `{"errors":false,"items":[` + strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, n), ",") + `]}`
}

func count(c call) int { return strings.Count(c.body, "\n") / 2 }

func entriesOf(n int) (entries []string) {
	for i := range n {
		entries = append(entries, entryOf(i))
	}
	return entries
}

func TestShipper_SaysTheLengthOfWhatItSends(t *testing.T) {
	calls, _, s := shipAll(t, &batches{left: entriesOf(3)}, false, func(_ int, c call) (int, string) { return took(count(c)) })
	want := []call{{body: strings.Join(entriesOf(3), ""), length: int64(len(strings.Join(entriesOf(3), "")))}}
	if !cmp.Equal(calls, want, cmp.AllowUnexported(call{})) || testutil.ToFloat64(s.metrics.shipped) != 3 {
		t.Errorf("%+v", calls)
	}
}

func TestShipper_SendsAgainOnlyWhatWasNotTakenAndPutsAsideWhatNeverWillBe(t *testing.T) {
	calls, dead, s := shipAll(t, &batches{left: entriesOf(5)}, false, func(n int, c call) (int, string) {
		switch n {
		case 1:
			return http.StatusServiceUnavailable, "<html>"
		case 2:
			return http.StatusOK, `{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":429,"error":{"type":"busy"}}},{"create":{"status":409}},` +
				`{"create":{"status":400,"error":{"type":"mapper","reason":"no"}}},{"create":{"status":201,"failure_store":"used"}}]}`
		}
		return took(count(c))
	})
	if len(calls) != 3 || calls[1].body != calls[0].body || calls[2].body != entryOf(1) {
		t.Errorf("%+v", calls)
	}
	if len(dead) != 2 || dead[0] != entryOf(3)+"400 mapper: no" || !strings.HasPrefix(dead[1], entryOf(4)) || !strings.Contains(dead[1], "failure store") {
		t.Errorf("%q", dead)
	}
	if testutil.ToFloat64(s.metrics.shipped) != 2 || testutil.ToFloat64(s.metrics.duplicates) != 1 || testutil.ToFloat64(s.metrics.dead) != 2 {
		t.Error("not counted as they are")
	}
}

func TestShipper_DividesWhatIsTooLargeAndSendsNothingTwice(t *testing.T) {
	const limit = 600 << 10 // of the server
	padding := strings.Repeat("x", 10<<10)
	var entries []string
	for i := range 300 {
		entries = append(entries, strings.Replace(entryOf(i), "}\n", `,"p":"`+padding+"\"}\n", 1))
	}
	entries = append(entries, strings.Replace(entryOf(300), "}\n", `,"p":"`+strings.Repeat("x", limit)+"\"}\n", 1))
	b := &batches{left: slices.Clone(entries)}
	seen := map[string]int{}
	calls, dead, _ := shipAll(t, b, true, func(_ int, c call) (int, string) {
		if len(c.body) > limit {
			if c.packed || c.length != int64(len(c.body)) {
				t.Error("a server that refuses this may have taken a part of it")
			}
			return http.StatusRequestEntityTooLarge, "too large"
		}
		for _, line := range strings.SplitAfter(c.body, "\n") {
			if strings.HasPrefix(line, `{"create"`) {
				seen[line]++
			}
		}
		return took(count(c))
	})
	for line, n := range seen {
		if n > 1 {
			t.Errorf("sent %d times: %.60s", n, line)
		}
	}
	if len(seen) != 300 || len(dead) != 1 || !strings.HasPrefix(dead[0], entries[300]) {
		t.Errorf("%d were taken and %d put aside", len(seen), len(dead))
	}
	if last := b.asked[len(b.asked)-1]; last > limit || last < leastBatch {
		t.Errorf("%d bytes are asked for at the end", last)
	}
	if !slices.ContainsFunc(calls, func(c call) bool { return c.packed }) {
		t.Error("nothing was packed")
	}
}

func TestShipper_DoubtsWhatTheServerDoesNotUnderstand(t *testing.T) {
	b := &batches{left: entriesOf(4), garbage: "rubbish\n"}
	calls, _, _ := shipAll(t, b, false, func(_ int, c call) (int, string) {
		if strings.HasPrefix(c.body, "rubbish") {
			return http.StatusBadRequest, `{"error":{"type":"illegal_argument_exception","reason":"Malformed action/metadata line [1]"}}`
		}
		return took(count(c))
	})
	if b.doubted != 1 || len(calls) != 2 || calls[1].body != strings.Join(entriesOf(4), "") {
		t.Errorf("%d doubts, %+v", b.doubted, calls)
	}
}

func TestRow_IsDividedBetweenEntriesAndOnlyWhenItIsWhole(t *testing.T) {
	of := func(body string, n int) row {
		return row{source: strings.NewReader(body), size: int64(len(body)), n: n}
	}
	r := of(strings.Join(entriesOf(5), ""), 5)
	if err := r.load(); err != nil || string(r.at(0)) != entryOf(0) || string(r.at(4)) != entryOf(4) {
		t.Fatal(err)
	}
	first, second := r.halves()
	if string(first.body)+string(second.body) != string(r.body) || first.n != 2 || second.n != 3 || second.size != int64(len(second.body)) {
		t.Errorf("%d and %d", first.n, second.n)
	}
	for name, bad := range map[string]row{
		"fewer": of(entryOf(1), 2), "more": of(entryOf(1)+entryOf(2), 1), "half a line": of(entryOf(1)+"{", 1), "half an entry": of(entryOf(1)+"{}\n", 1), "nothing": of("", 0),
	} {
		if err := bad.load(); !errors.Is(err, errRow) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p := r.pick([]int{0, 3}); string(p.body) != entryOf(0)+entryOf(3) || p.n != 2 {
		t.Errorf("picked %q", p.body)
	}
	short := of(entryOf(1), 1)
	short.size++
	if err := short.load(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that was cut: %v", err)
	}
}
