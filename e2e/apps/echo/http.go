package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/requestlog"
)

func handler(s *sockets, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", s.echo)
	mux.HandleFunc("POST /upload", upload)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"ok"}`)
	})
	routed := problem.Router(mux, "GET /ws (WebSocket)", "POST /upload", "GET /healthz")
	return requestlog.Handler(log, routed, "/healthz")
}

// upload reads a body of any length and says what it was, without keeping it.
func upload(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		problem.Write(w, r, problem.Problem{
			Status: http.StatusBadRequest, Code: "body-broken-off", Title: "The body ended too early", Detail: problem.Shorten(err.Error()),
		})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"bytes": n, "sha256": hex.EncodeToString(sum.Sum(nil))}) // fails only when the client has gone
}

// sockets are the WebSockets that are open. net/http forgets a connection that it has handed over,
// so they are asked to leave, and awaited, here.
type sockets struct {
	ending context.Context
	leave  context.CancelFunc
	open   sync.WaitGroup
}

func newSockets() *sockets {
	ending, leave := context.WithCancel(context.Background())
	return &sockets{ending: ending, leave: leave}
}

func (s *sockets) wait() { s.open.Wait() }

// echo gives each message back before it reads the next one; one of more than 32 KiB ends the
// connection with 1009, the end of this process with 1001.
func (s *sockets) echo(w http.ResponseWriter, r *http.Request) {
	s.open.Add(1)
	defer s.open.Done()
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // a page of any origin may talk to an echo
	if err != nil {
		return // it was answered
	}
	defer func() { _ = c.CloseNow() }()
	stop := context.AfterFunc(s.ending, func() { _ = c.Close(websocket.StatusGoingAway, "the server ends") })
	defer stop()
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil {
			return // closed, by either side
		}
		if err := c.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}
