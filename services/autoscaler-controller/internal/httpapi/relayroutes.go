package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	routesPath = "/v1/routes"
	// A relay of this version says so to the leader: one of before reads an answer to its end before it
	// passes it on, and is given none that has no end.
	relaysStreams = "streams"
	silenceTime   = 25 * time.Second // within a stream: it has a line every ten seconds
	relayChunk    = 64 << 10
)

// passesStreams tells whether what streams gets through to who asks.
func passesStreams(r *http.Request) bool {
	by := r.Header.Get(relayedHeader)
	return by == "" || by == relaysStreams
}

// relayStream passes the leader's routes or events on as they come, be they a stream or the answer to a long poll.
// An error is that of an answer that has not begun.
func (l *relay) relayStream(w http.ResponseWriter, r *http.Request, leader string, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	patience := time.AfterFunc(pollTimeout, cancel)
	defer patience.Stop()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-l.Ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, schemeOf(l.Authorities != nil)+leader+r.URL.RequestURI(), http.NoBody)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	out.Header = r.Header.Clone()
	out.Header.Set(relayedHeader, relaysStreams)
	l.forShard(out)
	answer, err := l.routes.Do(out)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.Header.Get(otherShardsHeader) != "" {
		return errOtherShards
	}
	passHeader(w.Header(), answer.Header)
	w.WriteHeader(answer.StatusCode)
	control, chunk := http.NewResponseController(w), make([]byte, relayChunk)
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	for {
		patience.Reset(silenceTime)
		n, err := answer.Body.Read(chunk)
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, broken := w.Write(chunk[:n]); broken != nil || err != nil || control.Flush() != nil {
			return nil // to whoever asked it is the end of a stream, or a line that is not whole: it asks again
		}
	}
}

// passHeader passes on what the leader says of its answer.
func passHeader(to, from http.Header) {
	for _, name := range []string{"Content-Type", "Retry-After", "Cache-Control", bufferingHeader, "Allow", "WWW-Authenticate", settingsVersionHeader} {
		if v := from.Get(name); v != "" {
			to.Set(name, v)
		}
	}
}
