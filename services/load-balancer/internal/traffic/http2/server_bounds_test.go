package http2

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/proxy"
)

func TestServer_BoundsStreams(t *testing.T) {
	release := make(chan struct{})
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		<-release
		reply(c, 204, "")
	})
	defer close(release)
	p := f.client(t)
	settings := next[*h2.SettingsFrame](p)
	for id, want := range map[h2.SettingID]uint32{h2.SettingMaxConcurrentStreams: maxStreams, h2.SettingInitialWindowSize: windowStream} {
		if got, _ := settings.Value(id); got != want {
			t.Errorf("%v: %d, want %d", id, got, want)
		}
	}
	if got, _ := settings.Value(h2.SettingMaxHeaderListSize); got < 64<<10 || got > 80<<10 {
		t.Errorf("heads of %d bytes are taken", got)
	}
	for i := range uint32(maxStreams) {
		p.request(2*i+1, true, "GET", "/")
	}
	p.request(2*maxStreams+1, true, "GET", "/")
	if got := next[*h2.RSTStreamFrame](p); got.StreamID != 2*maxStreams+1 || got.ErrCode != h2.ErrCodeRefusedStream {
		t.Errorf("one stream more: %v", got)
	}
}

// A client that opens and resets streams as fast as it can is cut off, and few handlers run.
func TestServer_ARapidResetIsCutOff(t *testing.T) {
	release := make(chan struct{})
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		<-release // as if the pod was slow to hear of it
		reply(c, 204, "")
	})
	defer close(release)
	p := f.client(t)
	go func() { // until the server has had enough
		for i := uint32(1); i < 20*maxStreams; i += 2 {
			p.head.Reset()
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}} {
				_ = p.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			if p.WriteHeaders(h2.HeadersFrameParam{StreamID: i, BlockFragment: p.head.Bytes(), EndHeaders: true, EndStream: true}) != nil || p.WriteRSTStream(i, h2.ErrCodeCancel) != nil {
				return
			}
		}
	}()
	if got := next[*h2.GoAwayFrame](p); got.ErrCode != h2.ErrCodeEnhanceYourCalm {
		t.Errorf("%v", got)
	}
}

func TestServer_AFloodOfContinuationsIsCutOff(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) { reply(c, 204, "") })
	p := f.client(t)
	p.try(p.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: p.block(":method", "GET", ":scheme", "http", ":path", "/"), EndStream: true}))
	part := p.block("x-long", strings.Repeat("a", 4000))
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		for {
			frame, err := p.ReadFrame()
			if _, goAway := frame.(*h2.GoAwayFrame); goAway || err != nil {
				return
			}
		}
	}()
	for range 500 { // 2 MB; the limit of a head is 64 KiB
		if p.WriteContinuation(1, false, part) != nil {
			break
		}
	}
	<-cut
}

func TestServer_AConnectionBeyondTheLimitIsAnsweredAndSentAway(t *testing.T) {
	f := serve(t, func(c proxy.Client, _ *message.Request) {
		if limit, crowded := c.Crowded(); limit != 7 || !crowded {
			t.Errorf("%d, %v", limit, crowded)
		}
		reply(c, 503, "")
	})
	f.mu.Lock()
	f.limit = 7
	f.mu.Unlock()
	p := f.client(t)
	p.request(1, true, "GET", "/")
	for answered, sentAway := false, false; !answered || !sentAway; {
		frame, err := p.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *h2.GoAwayFrame:
			sentAway = f.ErrCode == h2.ErrCodeNo && f.LastStreamID == 1
		case *h2.MetaHeadersFrame:
			answered = f.PseudoValue("status") == "503"
		}
	}
}

// inVirtualTime serves one client over a pipe.
func inVirtualTime(t *testing.T, o Options, h handler, client func(t *testing.T, p *peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Handler, o.Log = h, slog.New(slog.DiscardHandler)
		s := New(o)
		ours, theirs := net.Pipe()
		go s.ServeConn(&Connection{Net: ours})
		p := newPeer(t, theirs)
		p.must(io.WriteString(theirs, h2.ClientPreface))
		p.try(p.WriteSettings())
		client(t, p)
		_ = theirs.Close()
		s.Shutdown(context.Background())
	})
}

func TestServer_AClientThatTakesNothingIsCutOff(t *testing.T) {
	began := make(chan time.Time, 1)
	inVirtualTime(t, Options{WriteIdle: time.Minute}, func(c proxy.Client, _ *message.Request) {
		began <- time.Now()
		_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
		for c.Commit(len(c.Space())) == nil {
		}
	}, func(t *testing.T, p *peer) {
		t.Helper()
		p.request(1, true, "GET", "/") // its window is 64 KiB, and it never widens it
		if got := next[*h2.RSTStreamFrame](p); got.StreamID != 1 {
			t.Errorf("%v", got)
		}
		if took := time.Since(<-began); took < time.Minute || took > 2*time.Minute {
			t.Errorf("after %v", took)
		}
	})
}

func TestServer_AStreamThatIsQuietIsNotCutOff(t *testing.T) {
	inVirtualTime(t, Options{WriteIdle: time.Second}, func(c proxy.Client, _ *message.Request) {
		_ = c.Begin(&proxy.Head{Status: 200, Length: -1})
		_ = c.Flush()
		time.Sleep(time.Minute)
		_ = c.Commit(copy(c.Space(), "at last"))
		_ = c.End(nil)
	}, func(t *testing.T, p *peer) {
		t.Helper()
		p.request(1, true, "GET", "/")
		p.status()
		if data := next[*h2.DataFrame](p); string(data.Data()) != "at last" {
			t.Errorf("%q", data.Data())
		}
	})
}
