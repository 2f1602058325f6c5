package httpserver

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// unreadPatience is how long the rest of a body may take that nobody reads.
const unreadPatience = time.Second

// How long a body may keep whoever reads it waiting: so long at most, and so many bytes earn a second more. The data port
// has the same measure.
const (
	bodyPatience = 10 * time.Second
	leastRate    = 240 // bytes a second
)

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
		body := &seen{ReadCloser: r.Body, control: control, spare: bodyPatience}
		r.Body = body
		defer func() {
			if !body.ended {
				_ = control.SetReadDeadline(time.Now().Add(unreadPatience))
			}
		}()
		next.ServeHTTP(&closing{ResponseWriter: w, body: body}, r)
	})
}

// seen is a body of which it is known whether it was read to its end, and that does not keep its reader waiting for ever.
type seen struct {
	io.ReadCloser
	control *http.ResponseController
	spare   time.Duration // that may still be waited for it
	ended   bool
}

// Read notes the end. The error is os.ErrDeadlineExceeded where the body does not come, or comes too slowly; the time in
// which nobody reads does not count.
func (s *seen) Read(p []byte) (int, error) {
	now := time.Now()
	_ = s.control.SetReadDeadline(now.Add(max(s.spare, time.Millisecond)))
	n, err := s.ReadCloser.Read(p)
	if s.ended = s.ended || errors.Is(err, io.EOF); s.ended {
		_ = s.control.SetReadDeadline(time.Time{}) // from now on it is watched for the client's going
		return n, err
	}
	s.spare = min(s.spare-time.Since(now)+time.Duration(n)*time.Second/leastRate, bodyPatience)
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
