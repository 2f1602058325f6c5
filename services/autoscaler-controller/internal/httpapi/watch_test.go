package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const objectsPath = "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/default/customautoscalers"

// upstream is an API server that answers a watch with what is written into it.
type upstream struct {
	*io.PipeWriter
	asked *http.Request
}

func (p *parts) watched() *upstream {
	u := &upstream{}
	var body *io.PipeReader
	body, u.PipeWriter = io.Pipe()
	p.watch = func(r *http.Request) (*http.Response, error) {
		u.asked = r
		context.AfterFunc(r.Context(), func() { _ = body.CloseWithError(r.Context().Err()) })
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, nil
	}
	return u
}

// reader is a client of a watch, whose answer has begun.
type reader struct {
	*bufio.Scanner
	answer *http.Response
	leave  context.CancelFunc
}

// begin asks for a watch over a connection in memory.
func begin(t *testing.T, h http.Handler, query string) *reader {
	t.Helper()
	ours, theirs := net.Pipe()
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	listener := &oneConnection{conn: theirs, done: make(chan struct{})}
	go func() { _ = server.Serve(listener) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return ours, nil }}}
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://controller"+objectsPath+"?"+query, http.NoBody)
	r.Header.Set("Authorization", "Bearer theirs")
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = answer.Body.Close()
		close(listener.done)
		_ = server.Close()
	})
	events := bufio.NewScanner(answer.Body)
	events.Buffer(nil, maxEvent)
	return &reader{events, answer, cancel}
}

type oneConnection struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneConnection) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}
func (l *oneConnection) Close() error   { return nil }
func (l *oneConnection) Addr() net.Addr { return &net.TCPAddr{} }

func TestWatch_PassesEachEventOnWhenItComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		u := p.watched()
		c := begin(t, p.handler(t), "watch=true&resourceVersion=7&allowWatchBookmarks=true&timeoutSeconds=60&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&labelSelector=a%3Db&fieldSelector=metadata.name%3Dx&limit=500&dryRun=All")
		if c.answer.StatusCode != http.StatusOK || c.answer.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%d %v", c.answer.StatusCode, c.answer.Header)
		}
		want := "allowWatchBookmarks=true&fieldSelector=metadata.name%3Dx&labelSelector=a%3Db&resourceVersion=7&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds=60&watch=true"
		if got := u.asked.URL.RawQuery; got != want || u.asked.Header.Get("Authorization") != "Bearer theirs" {
			t.Errorf("asked for %s", got)
		}
		for i, event := range []string{`{"type":"ADDED"}`, `{"type":"MODIFIED","object":"` + strings.Repeat("x", 5*eventChunk) + `"}`, `{"type":"BOOKMARK"}`} {
			go func() { // nothing between here and there takes what is not read
				_, _ = io.WriteString(u, event[:len(event)/2])
				_, _ = io.WriteString(u, event[len(event)/2:]+"\n")
			}()
			if !c.Scan() || c.Text() != event {
				t.Fatalf("event %d: %v %.80q", i, c.Err(), c.Text())
			}
		}
		if p.open.Load() != 1 {
			t.Errorf("%d are open", p.open.Load())
		}
		_ = u.Close()
		if c.Scan() || c.Err() != nil {
			t.Errorf("after its end: %q %v", c.Text(), c.Err())
		}
		if end := <-p.ended; end != WatchDone || p.open.Load() != 0 {
			t.Errorf("it ended as %s, %d are open", end, p.open.Load())
		}
	})
}

func TestWatch_EndsWithTheReplicaAndWithTheClient(t *testing.T) {
	for want, end := range map[string]func(p *parts, c *reader){
		WatchEnding: func(p *parts, _ *reader) { close(p.ending) },
		WatchLeft:   func(_ *parts, c *reader) { c.leave() },
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newParts()
			u := p.watched()
			c := begin(t, p.handler(t), "watch=1")
			_, _ = io.WriteString(u, "{\"type\":\"ADDED\"}\n{\"type\":\"MODI")
			if !c.Scan() {
				t.Fatal(c.Err())
			}
			synctest.Wait() // half an event has come
			end(p, c)
			if got := <-p.ended; got != want {
				t.Errorf("it ended as %s, want %s", got, want)
			}
			if want == WatchEnding && (c.Scan() || c.Err() != nil) {
				t.Errorf("half an event was passed on: %q, %v", c.Text(), c.Err())
			}
			if u.asked.Context().Err() == nil {
				t.Error("the API server is still asked")
			}
		})
	}
}

func TestWatch_IsCutForWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		u := p.watched()
		begin(t, p.handler(t), "watch=true")
		began := time.Now()
		for {
			if _, err := fmt.Fprintf(u, "{%s}\n", strings.Repeat(" ", eventChunk)); err != nil {
				break
			}
		}
		if end := <-p.ended; end != WatchSlow || time.Since(began) != writeTimeout {
			t.Errorf("it ended as %s after %v", end, time.Since(began))
		}
	})
}

func TestWatch_IsRefusedWithAProblemDocument(t *testing.T) {
	answers := func(status int, body string) func(*http.Request) (*http.Response, error) {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
		}
	}
	status := `{"kind":"Status","message":"field label not supported: spec.x"}`
	for name, c := range map[string]struct {
		watch  func(*http.Request) (*http.Response, error)
		ending bool
		query  string
		auth   string
		want   int
		says   string
	}{
		"without a token":         {nil, false, "watch=true", "", 401, "no token"},
		"with a strange one":      {nil, false, "watch=true", "Basic x", 401, "Bearer TOKEN"},
		"by the API server":       {answers(400, status), false, "watch=true", "", 400, `"field":"fieldSelector","value":"spec.x","allowed":"one of the fields metadata.name, metadata.namespace, spec.mode, status.state"`},
		"as too old":              {answers(410, `{"message":"too old resource version"}`), false, "watch=true", "", 410, "too old"},
		"with a strange status":   {answers(204, ""), false, "watch=true", "", 503, "204"},
		"by a replica that ends":  {answers(200, ""), true, "watch=true", "", 503, "about to end"},
		"with a time too long":    {nil, false, "watch=true&timeoutSeconds=86401", "", 400, "timeoutSeconds"},
		"with a strange boolean":  {nil, false, "watch=maybe", "", 400, "watch"},
		"with two answers wished": {nil, false, "watch=true&watch=false", "", 400, "one value"},
	} {
		p := newParts()
		if p.watch = c.watch; c.ending {
			close(p.ending)
		}
		var header []string
		if c.auth != "" {
			header = []string{"Authorization", c.auth}
		}
		w := do(p.handler(t), "GET", objectsPath+"?"+c.query, "", header...)
		if w.Code != c.want || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		fits(t, w, "Problem")
	}
}

func TestWatch_IsAListWhereItIsNotAskedFor(t *testing.T) {
	for _, query := range []string{"", "?watch=false", "?watch=0"} {
		p := newParts()
		if w := do(p.handler(t), "GET", objectsPath+query, ""); w.Code != 200 || p.asked == nil || p.asked.URL.Query().Has("watch") {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
}

// A single object is not watched: answered with the object, an informer would wait for ever.
func TestWatch_OfASingleObjectIsRefusedWithWhatToDo(t *testing.T) {
	for query, status := range map[string]int{"?watch=true": 501, "?watch=1": 501, "?watch": 501, "?watch=TRUE&resourceVersion=7": 501, "": 200, "?watch=false": 200, "?watch=0": 200} {
		p := newParts()
		w := do(p.handler(t), "GET", objectsPath+"/fib"+query, "")
		if w.Code != status || status == 501 != (p.asked == nil) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
		if status != 501 {
			continue
		}
		fits(t, w, "Problem")
		if body := w.Body.String(); !strings.Contains(body, `"not-implemented"`) || !strings.Contains(body, objectsPath+"?watch=true\\u0026fieldSelector=metadata.name%3Dfib") && !strings.Contains(body, objectsPath+"?watch=true&fieldSelector=metadata.name%3Dfib") {
			t.Errorf("%s: %s", query, body)
		}
	}
}

func TestWatch_OneTooManyIsRefusedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		p.watch = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		h := p.handler(t)
		ctx, leave := context.WithCancel(t.Context())
		for i := range maxWatches {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, objectsPath+"?watch=true", http.NoBody)
			r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", i/maxOfOne)
			go h.ServeHTTP(httptest.NewRecorder(), r)
		}
		synctest.Wait()
		w := do(h, "GET", objectsPath+"?watch=true", "")
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || p.open.Load() != maxWatches {
			t.Errorf("%d %s; %d are open", w.Code, w.Body, p.open.Load())
		}
		if end := <-p.ended; end != WatchTooMany {
			t.Errorf("it ended as %s", end)
		}
		leave()
		synctest.Wait()
		if w := do(h, "GET", objectsPath, ""); w.Code != 200 || p.open.Load() != 0 {
			t.Errorf("%d; %d are open", w.Code, p.open.Load())
		}
		p.watch = nil // refused by what is asked, not for want of a place
		if w := do(h, "GET", objectsPath+"?watch=true", ""); w.Code != http.StatusUnauthorized {
			t.Errorf("%d", w.Code)
		}
	})
}

// One caller has a share of them, by whatever token and from wherever it comes; the others have theirs meanwhile.
func TestWatch_OneCallerHasAShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := guarding(mayAll())
		p.watch = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		h := p.handler(t)
		ctx, leave := context.WithCancel(t.Context())
		for i := range maxOfOne {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, objectsPath+"?watch=true", http.NoBody)
			r.Header.Set("Authorization", "Bearer jane")
			r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", i)
			go h.ServeHTTP(httptest.NewRecorder(), r)
		}
		synctest.Wait()
		w := do(h, "GET", objectsPath+"?watch=true", "", "Authorization", "Bearer jane")
		if w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), "32 watches of one caller") {
			t.Errorf("jane's 33rd: %d %s", w.Code, w.Body)
		}
		<-p.ended
		other := httptest.NewRequestWithContext(ctx, http.MethodGet, objectsPath+"?watch=true", http.NoBody)
		other.Header.Set("Authorization", "Bearer omar")
		go h.ServeHTTP(httptest.NewRecorder(), other)
		synctest.Wait()
		if p.open.Load() != maxOfOne+1 {
			t.Errorf("%d are open", p.open.Load())
		}
		leave()
		synctest.Wait()
	})
}

func TestEventReader_ReadsLinesWhateverTheyComeIn(t *testing.T) {
	long := strings.Repeat("y", 3*eventChunk)
	text := "{}\n" + long + "\n\n{\"a\":1}\n{\"half"
	for name, from := range map[string]io.Reader{
		"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)), "with its end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		e, got := &eventReader{from: bufio.NewReaderSize(from, eventChunk)}, []string{}
		for {
			line, err := e.next()
			if err != nil {
				break
			}
			got = append(got, string(line))
		}
		if diff := cmp.Diff([]string{"{}\n", long + "\n", "\n", "{\"a\":1}\n"}, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestPassEvents_BoundsAnEvent(t *testing.T) {
	w := httptest.NewRecorder()
	from := io.MultiReader(strings.NewReader("{}\n"), bytes.NewReader(make([]byte, maxEvent+1)))
	if end := passEvents(w, from); end != WatchTooLarge || w.Body.String() != "{}\n" {
		t.Errorf("it ended as %s, with %d bytes passed on", end, w.Body.Len())
	}
	if end := passEvents(httptest.NewRecorder(), iotest.ErrReader(io.ErrUnexpectedEOF)); end != WatchBroken {
		t.Errorf("it ended as %s", end)
	}
}

func FuzzEventReader(f *testing.F) {
	f.Add([]byte("{}\n\n{\"a\":1}\nrest"), 3)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		e, got := &eventReader{from: bufio.NewReaderSize(bytes.NewReader(text), max(size%64, 16))}, []byte{}
		for {
			line, err := e.next()
			if err != nil {
				break
			}
			if bytes.IndexByte(line, '\n') != len(line)-1 {
				t.Fatalf("%q is no line", line)
			}
			got = append(got, line...)
		}
		if want := text[:bytes.LastIndexByte(text, '\n')+1]; !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
