package httpserver

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// unreadPatience is how long the rest of a body may take that nobody reads.
const unreadPatience = time.Second

// answerUnread lets an answer go out although the request's body was not read: net/http would wait
// for it first, without an end. Such a connection says that it closes, and does.
func answerUnread(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody || r.ProtoMajor != 1 {
			next.ServeHTTP(w, r)
			return
		}
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		body := &seen{ReadCloser: r.Body}
		r.Body = body
		defer func() {
			if !body.ended {
				_ = control.SetReadDeadline(time.Now().Add(unreadPatience))
			}
		}()
		next.ServeHTTP(&closing{ResponseWriter: w, body: body}, r)
	})
}

// seen is a body of which it is known whether it was read to its end.
type seen struct {
	io.ReadCloser
	ended bool
}

// Read notes the end.
func (s *seen) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.ended = s.ended || errors.Is(err, io.EOF)
	return n, err
}

// closing announces that the connection closes when an answer begins before the body's end.
type closing struct {
	http.ResponseWriter
	body  *seen
	begun bool
}

// WriteHeader begins the answer.
func (c *closing) WriteHeader(status int) {
	if !c.begun && status >= http.StatusOK {
		c.begun = true
		if !c.body.ended {
			c.Header().Set("Connection", "close")
		}
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the answer.
func (c *closing) Write(p []byte) (int, error) {
	if !c.begun {
		c.WriteHeader(http.StatusOK)
	}
	return c.ResponseWriter.Write(p)
}

// Flush sends what was written.
func (c *closing) Flush() {
	if !c.begun {
		c.WriteHeader(http.StatusOK)
	}
	_ = http.NewResponseController(c.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (c *closing) Unwrap() http.ResponseWriter { return c.ResponseWriter }
