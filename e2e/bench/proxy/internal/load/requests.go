package load

import (
	"fmt"
	"strings"

	"github.com/nemesis-scaling/nemesis/e2e/bench/proxy/internal/backend"
)

// Prefix is where the application is behind a proxy.
const Prefix = "/bench"

// Service is the path of the gRPC service.
const Service = Prefix + ".Echo"

// Host is the name of the site.
const Host = "bench.local"

const fields = "Host: " + Host + "\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\nAccept-Language: en\r\n"

// Post sends 128 bytes.
func Post(path string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, fields, backend.Small, strings.Repeat("0123456789abcdef", backend.Small/16))
}

// Get sends none.
func Get(path string) []byte { return fmt.Appendf(nil, "GET %s HTTP/1.1\r\n%s\r\n", path, fields) }

// Upgrade asks for a WebSocket.
func Upgrade(path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\n%sConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, fields)
}
