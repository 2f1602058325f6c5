package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// writeDeadline is how long a client may leave one event unread before it counts as gone: a
// stalled reader must not hold a slot.
const writeDeadline = 30 * time.Second

// events writes server-sent events, each on its way before the next is made.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// beginEvents sends the header at once, so that the client knows that it has a slot.
func beginEvents(w http.ResponseWriter) (events, error) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	e := events{w: w, control: http.NewResponseController(w)}
	return e, e.control.Flush()
}

func (e events) send(d document) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return e.write(string(data))
}

// end is the event that tells clients of this interface that the answer is complete.
func (e events) end() error { return e.write("[DONE]") }

func (e events) write(data string) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(writeDeadline)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := e.w.Write([]byte("data: " + data + "\n\n")); err != nil {
		return err
	}
	return e.control.Flush()
}
