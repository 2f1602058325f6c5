package proxy

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/dispatch"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// part is what comes next of a body: a text after a pause, or an error.
type part struct {
	after time.Duration
	text  string
	err   error
}

// client is a client in memory: its body comes as a script says, and what is answered is kept.
type client struct {
	peer    Peer
	crowded int // the limit that it is beyond; 0: it is not
	trailer message.Fields
	fails   error  // of writing
	stream  Stream // its side of a tunnel
	spaces  int    // bytes of each space; 0 is 16
	onFlush func(*client)

	mu        sync.Mutex
	parts     []part
	reads     int
	patience  time.Duration
	stopped   chan struct{}
	gone      chan struct{}
	who       Canceler
	continued int // 100 Continue

	informed []string
	head     *Head
	fields   []string // of the answer, as they go out
	body     []byte
	flushed  string // of the body
	ended    bool
	trailers []string
	space    []byte
}

var _ CallClient = (*client)(nil)

func newClient(parts ...part) *client {
	return &client{
		peer:  Peer{IP: netip.MustParseAddr("192.0.2.1"), Address: "192.0.2.1", Port: 4711},
		parts: parts, stopped: make(chan struct{}), gone: make(chan struct{}),
	}
}

func (c *client) Peer() Peer           { return c.peer }
func (c *client) Crowded() (int, bool) { return c.crowded, c.crowded > 0 }
func (c *client) Trailer() message.Fields {
	return c.trailer
}

func (c *client) Ready() bool { return len(c.parts) == 0 || c.parts[0].after == 0 }

func (c *client) Patience(d time.Duration, _ time.Time) { c.patience = d }

func (c *client) Continue() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.continued++
	return nil
}

func (c *client) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.stopped:
	default:
		close(c.stopped)
	}
}

func (c *client) Read(p []byte) (int, error) {
	select {
	case <-c.stopped:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	if len(c.parts) == 0 {
		return 0, io.EOF
	}
	next := &c.parts[0]
	if next.after > 0 {
		most := next.after
		if c.patience > 0 {
			most = min(most, c.patience)
		}
		timer := time.NewTimer(most)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.stopped:
			return 0, os.ErrDeadlineExceeded
		case <-c.gone:
			return 0, io.ErrUnexpectedEOF
		}
		if next.after -= most; next.after > 0 {
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(p, next.text)
	if next.text = next.text[n:]; next.text != "" {
		return n, nil
	}
	err := next.err
	c.parts = c.parts[1:]
	return n, err
}

func (c *client) Watch(who Canceler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.who = who
	if who != nil && c.HasGone() {
		who.Cancel()
	}
}

func (c *client) Gone() <-chan struct{} { return c.gone }

func (c *client) HasGone() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// Cancel has the client go.
func (c *client) Cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.HasGone() {
		close(c.gone)
		if c.who != nil {
			c.who.Cancel()
		}
	}
}

func (c *client) Inform(h *message.Response) error {
	c.informed = append(c.informed, strings.Join(append([]string{h.Reason}, passed(h.Fields)...), "|"))
	return nil
}

func (c *client) Begin(h *Head) error {
	if _, fails := c.spoiled(); fails != nil {
		return fails
	}
	head := *h
	c.head = &head
	c.fields = append(passed(h.Fields), passed(h.Add)...)
	return nil
}

func (c *client) Space() []byte {
	if c.space == nil {
		c.space = make([]byte, max(c.spaces, 16))
	}
	return c.space
}

func (c *client) Commit(n int) error {
	c.body = append(c.body, c.space[:n]...)
	_, fails := c.spoiled()
	return fails
}

func (c *client) Flush() error {
	c.flushed = string(c.body)
	onFlush, fails := c.spoiled()
	if onFlush != nil {
		onFlush(c)
	}
	return fails
}

// spoil has writes fail from now on, or something happen when they are sent; while it is served too.
func (c *client) spoil(fails error, onFlush func(*client)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails, c.onFlush = fails, onFlush
}

func (c *client) spoiled() (onFlush func(*client), fails error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.onFlush, c.fails
}

func (c *client) End(trailer message.Fields) error {
	c.trailers, c.ended = passed(trailer), true
	return c.Flush()
}

func (c *client) Tunnel() (Stream, error) {
	if c.stream == nil {
		return nil, errors.New("no tunnel here")
	}
	return c.stream, nil
}

// field is the value of a field that was answered.
func (c *client) field(name string) string {
	for _, f := range c.fields {
		if n, value, _ := strings.Cut(f, ": "); strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}

// passed are the fields that go out.
func passed(fields []message.Field) []string {
	var all []string
	for _, f := range fields {
		if !f.Dropped {
			all = append(all, f.Name+": "+f.Value)
		}
	}
	return all
}

// reply is a pod's answer in memory.
type reply struct {
	head    *message.Response
	parts   []part
	trailer message.Fields
	stream  Stream
	ended   bool
	onClose func()
}

var _ Answer = (*reply)(nil)

func (a *reply) Head() *message.Response { return a.head }
func (a *reply) Ended() bool             { return a.ended }
func (a *reply) Whole() bool             { return a.ended }
func (a *reply) Trailer() message.Fields { return a.trailer }
func (a *reply) Tunnel() Stream          { return a.stream }

func (a *reply) Buffered() int {
	if len(a.parts) == 0 || a.parts[0].after > 0 {
		return 0
	}
	return len(a.parts[0].text)
}

func (a *reply) Await(before Flusher) error {
	if before != nil {
		if err := before.Flush(); err != nil {
			return &FlushError{Err: err}
		}
	}
	if len(a.parts) == 0 {
		a.ended = true
		return io.EOF
	}
	time.Sleep(a.parts[0].after)
	a.parts[0].after = 0
	if p := a.parts[0]; p.text == "" {
		a.parts = a.parts[1:]
		return p.err
	}
	return nil
}

func (a *reply) Read(p []byte) (int, error) {
	if len(a.parts) == 0 {
		a.ended = true
		return 0, io.EOF
	}
	next := &a.parts[0]
	n := copy(p, next.text)
	if next.text = next.text[n:]; next.text != "" {
		return n, nil
	}
	err := next.err
	a.parts = a.parts[1:]
	if err == nil && len(a.parts) == 0 {
		a.ended, err = true, io.EOF
	}
	return n, err
}

func (a *reply) Close() {
	if a.onClose != nil {
		a.onClose()
	}
}

// answers makes an answer out of the lines of its head, and its body.
func answers(r *Outgoing, head string, parts ...part) *reply {
	r.Answer.Reset()
	if err := r.Answer.ParseResponse([]byte(lines(head)), r.Head.Method == http.MethodHead); err != nil {
		panic(err)
	}
	return &reply{head: r.Answer, parts: parts}
}

// lines ends each line as a head's are.
func lines(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") + "\r\n\r\n" }

// sends is a sender.
type sends func(to Destination, r *Outgoing) (Answer, error)

func (s sends) Send(to Destination, r *Outgoing) (Answer, error) { return s(to, r) }

// hello answers every request alike.
func hello(_ Destination, r *Outgoing) (Answer, error) {
	return answers(r, "HTTP/1.1 200 OK\nContent-Length: 5", part{text: "hello"}), nil
}

// request is a request of these lines.
func request(tb testing.TB, head string) *message.Request {
	tb.Helper()
	r := &message.Request{}
	if err := r.ParseRequest([]byte(lines(head))); err != nil {
		tb.Fatalf("%q: %v", head, err)
	}
	return r
}

// records is an access log that keeps everything.
type records struct {
	mu   sync.Mutex
	all  []accesslog.Record
	fail bool
}

func (l *records) Add(r *accesslog.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, *r)
	if l.fail {
		panic("the log")
	}
}

func (l *records) last() accesslog.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[len(l.all)-1]
}

// of is the record of the request for this path.
func (l *records) of(path string) (found accesslog.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.all {
		if r.Path == path {
			found = r
		}
	}
	return found
}

type noProber struct{}

func (noProber) Probe(*dispatch.Pod, <-chan struct{}) {}

type noWaker struct{}

func (noWaker) Wake(*dispatch.StartRequest) {}

var shop = routing.Application{Namespace: "default", Deployment: "shop"}

// unit is a proxy before the application shop, which has two pods, and the ports around it.
type unit struct {
	*Proxy
	tb    testing.TB
	d     *dispatch.Dispatcher
	log   *records
	text  *lockedBuffer
	route routing.Route
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newUnit(tb testing.TB, sender Sender, change ...func(*Options, *routing.Route)) *unit {
	tb.Helper()
	u := &unit{tb: tb, log: &records{}, text: &lockedBuffer{}}
	u.route = routing.Route{Application: shop, Prefix: "/shop", StripPrefix: true, State: routing.Awake, WakeUpTimeout: time.Minute, Endpoints: []routing.Endpoint{
		{Pod: "shop-1", Address: "10.0.0.1:80", Ready: true}, {Pod: "shop-2", Address: "10.0.0.2:80", Ready: true},
	}}
	u.d = dispatch.New(dispatch.Options{
		RoomRequests: 2, RoomBytes: 1 << 20, Now: time.Now, Intn: rand.IntN, Chance: rand.Float64, Prober: noProber{}, Waker: noWaker{}, ReportSoon: func() {},
	})
	o := Options{
		Matcher: u.d, Sender: sender, AccessLog: u.log, Limits: Limits{Body: 1 << 20, URI: 1 << 10, StreamIdle: time.Minute, Gathered: 1 << 20},
		Silence: func() time.Duration { return time.Second }, Log: slog.New(slog.NewTextHandler(u.text, nil)), Metrics: NewMetrics(prometheus.NewRegistry()),
	}
	for _, c := range change {
		c(&o, &u.route)
	}
	u.d.Apply(routing.Update{Version: "1", Complete: true, Routes: []routing.Route{u.route}})
	u.Proxy = New(o)
	return u
}

// ask serves one request, and returns what the log has of it. Nothing may be left behind.
func (u *unit) ask(c *client, head string) accesslog.Record {
	u.tb.Helper()
	u.Serve(c, request(u.tb, head))
	u.settled()
	return u.log.last()
}

// settled fails when something is still counted, watched or held.
func (u *unit) settled() {
	u.tb.Helper()
	for _, s := range u.d.Snapshots() {
		if s.InFlight != 0 || s.Streaming != 0 || s.Waiting != 0 || s.WaitingBytes != 0 {
			u.tb.Errorf("left behind: %d in flight, %d streaming, %d waiting with %d bytes", s.InFlight, s.Streaming, s.Waiting, s.WaitingBytes)
		}
		for _, p := range s.Pods {
			if p.InFlight != 0 {
				u.tb.Errorf("left behind: %d on %s", p.InFlight, p.Name)
			}
		}
	}
	if held := u.gathered.Load(); held != 0 {
		u.tb.Errorf("left behind: %d bytes of bodies", held)
	}
}

// usable are the pods that requests may be sent to.
func (u *unit) usable() (names []string) {
	for _, p := range u.d.Snapshots()[0].Pods {
		if p.Usable {
			names = append(names, p.Name)
		}
	}
	return names
}

func (u *unit) faults() int { return int(testutil.ToFloat64(u.o.Metrics.panics)) }

func (u *unit) failed(kind string) int {
	return int(testutil.ToFloat64(u.o.Metrics.failures.WithLabelValues("default", "shop", kind)))
}

func (u *unit) rejected(reason string) int {
	return int(testutil.ToFloat64(u.o.Metrics.rejected.WithLabelValues("default", "shop", reason)))
}

// equal compares lists of fields.
func equal(tb testing.TB, what string, got, want []string) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}
