//go:build !linux

package link

// Hangups watches nothing here: that a client has gone is seen when something is written to it.
type Hangups struct{ closed chan struct{} }

// NewHangups makes a watch.
func NewHangups() (*Hangups, error) { return &Hangups{closed: make(chan struct{})}, nil }

// Run returns after Close.
func (h *Hangups) Run() { <-h.closed }

// Close ends Run.
func (h *Hangups) Close() { close(h.closed) }

// Watch watches nothing.
func (h *Hangups) Watch(*Conn, func(bool)) uint64 { return 0 }

// Forget ends a watch.
func (h *Hangups) Forget(uint64) {}
