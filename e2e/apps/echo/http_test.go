package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func serveHTTP(t *testing.T) (*httptest.Server, *sockets) {
	t.Helper()
	s := newSockets()
	server := httptest.NewServer(handler(s, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	return server, s
}

func TestUpload_SaysWhatItGot(t *testing.T) {
	server, _ := serveHTTP(t)
	for _, body := range []string{"", "hello", strings.Repeat("0123456789", 100_000)} {
		response, err := http.Post(server.URL+"/upload", "application/octet-stream", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Bytes  int
			SHA256 string
		}
		err = json.NewDecoder(response.Body).Decode(&got)
		_ = response.Body.Close()
		sum := sha256.Sum256([]byte(body))
		if err != nil || got.Bytes != len(body) || got.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%d bytes: got %+v, %v", len(body), got, err)
		}
	}
}

func TestUpload_RefusesABodyThatBreaksOff(t *testing.T) {
	server, _ := serveHTTP(t)
	answered := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, "/upload", io.MultiReader(strings.NewReader("half"), broken{}))
	server.Config.Handler.ServeHTTP(answered, request)
	if answered.Code != http.StatusBadRequest || !strings.Contains(answered.Body.String(), "body-broken-off") {
		t.Errorf("%d %s", answered.Code, answered.Body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestSockets_GiveBackWhatTheyGet(t *testing.T) {
	server, s := serveHTTP(t)
	c, _, err := websocket.Dial(t.Context(), server.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	for kind, message := range map[websocket.MessageType]string{websocket.MessageText: "hello", websocket.MessageBinary: "\x00\xff"} {
		if err := c.Write(t.Context(), kind, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if gotKind, got, err := c.Read(t.Context()); err != nil || gotKind != kind || string(got) != message {
			t.Errorf("got %v %q, %v; want %v %q", gotKind, got, err, kind, message)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	s.wait()
}

func TestSockets_AreToldThatTheServerEnds(t *testing.T) {
	server, s := serveHTTP(t)
	c, _, err := websocket.Dial(t.Context(), server.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	s.leave()
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v", err)
	}
	s.wait()
}
