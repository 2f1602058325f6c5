package proxy

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// sessionField names a session of the Model Context Protocol, in lower case. The pod that begins one
// makes its name up, and alone knows it. So a mark of the pod goes behind the name on its way to the
// client, by which every load balancer finds the pod, also after a restart; none has to remember
// anything, or to tell another one.
const sessionField = "mcp-session-id"

// A mark is a ~ and the pod's ID in base64, all of it visible ASCII, as the protocol asks for.
const (
	markSign   = '~'
	markLength = 12
)

// session finds the pod of the request's session, and takes the mark off. A session without one is not
// of ours: it has its name for a key.
func session(fields message.Fields) balance.Request {
	for i := range fields {
		if !fields[i].Is(sessionField) {
			continue
		}
		name, pod := unmarked(fields[i].Value)
		fields[i].Value = name
		r := keyed(name)
		r.Pin = pod
		return r
	}
	return balance.Request{}
}

// mark marks the session that an answer names.
func mark(fields message.Fields, pod string) {
	for i := range fields {
		if fields[i].Is(sessionField) && fields[i].Value != "" {
			fields[i].Value = marked(fields[i].Value, balance.Hash(pod))
		}
	}
}

func marked(name string, pod uint64) string {
	b := make([]byte, 0, len(name)+markLength)
	b = append(append(b, name...), markSign)
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], pod)
	return string(base64.RawURLEncoding.AppendEncode(b, id[:]))
}

// unmarked is the name and the pod's ID; 0 when there is no mark.
func unmarked(name string) (string, uint64) {
	at := len(name) - markLength
	if at < 0 || name[at] != markSign {
		return name, 0
	}
	var id [9]byte
	n, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(name[at+1:]))
	if err != nil || n != 8 {
		return name, 0
	}
	return name[:at], binary.BigEndian.Uint64(id[:8])
}
