package backend

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // G505: RFC 6455 asks for it
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// Sizes of what is answered.
const (
	Small  = 128
	Large  = 64 << 10
	Stream = 100 << 10 // of /stream and /ws, before they fall silent
	block  = 4 << 10   // in which it comes
)

// kind is how an answer goes on.
type kind int

const (
	unknown kind = iota
	whole
	upgrade
	stream // tokens follow
	silent // nothing ever comes
)

type answer struct {
	kind  kind
	bytes []byte
}

// answers by the last part of the path.
var answers = map[string]answer{
	"echo":   {whole, sized("application/json", Small)},
	"large":  {whole, sized("application/octet-stream", Large)},
	"tokens": {stream, []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n")},
	"stream": {whole, longStream()},
	"hold":   {silent, nil},
}

var (
	notFound       = []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	webSocketReply = longMessages()
)

func sized(contentType string, n int) []byte {
	body := strings.Repeat("0123456789abcdef", n/16)
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Fri, 27 Nov 2026 12:00:00 GMT\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, n, body)
}

// longMessages are 100 KB in messages of a WebSocket.
func longMessages() []byte {
	b := make([]byte, 0, Stream)
	for range Stream / block {
		b = append(b, 0x82, 126, (block-4)>>8, (block-4)&0xff)
		b = append(b, bytes.Repeat([]byte("x"), block-4)...)
	}
	return b
}

// longStream is a stream that has no end.
func longStream() []byte {
	event := "data: " + strings.Repeat("x", block-8) + "\n\n"
	b := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n")
	for range Stream / len(event) {
		b = fmt.Appendf(b, "%x\r\n%s\r\n", len(event), event)
	}
	return b
}

// read is what a head asks for, and how long its body is.
func read(head []byte) (answer, int) {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	_, rest, _ := bytes.Cut(line, []byte(" "))
	path, _, _ := bytes.Cut(rest, []byte(" "))
	last := path[bytes.LastIndexByte(path, '/')+1:]
	if string(last) == "ws" {
		return answer{upgrade, accept(value(fields, "sec-websocket-key"))}, 0
	}
	length, _ := strconv.Atoi(value(fields, "content-length"))
	return answers[string(last)], max(length, 0)
}

// value is that of the first field of this name.
func value(fields []byte, name string) string {
	for len(fields) > 0 {
		var line []byte
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		if len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), name) {
			return strings.TrimSpace(string(line[len(name)+1:]))
		}
	}
	return ""
}

// accept is the answer to a WebSocket's handshake.
func accept(key string) []byte {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // G401: RFC 6455 asks for it
	return fmt.Appendf(nil, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
}
