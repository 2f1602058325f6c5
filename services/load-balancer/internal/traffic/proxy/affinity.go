package proxy

import (
	"bytes"
	"strings"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// common is what the request has in common with others that belong on the same pod. A session's mark
// is taken off for the pod.
func (x *exchange) common() balance.Request {
	on := x.match.Target.HashOn()
	if x.session = on != nil && on.MCPSession; x.session {
		return session(x.r.Fields)
	}
	if on == nil {
		return balance.Request{}
	}
	if on.Prompt {
		return keyed(prompt(x.body.bytes))
	}
	return keyed(x.commonText(on))
}

// keyed makes the key; nothing has none.
func keyed[T string | []byte](common T) balance.Request {
	if len(common) == 0 {
		return balance.Request{}
	}
	return balance.Request{Key: balance.Hash(common)}
}

func (x *exchange) commonText(on *routing.HashOn) string {
	switch {
	case on.Header != "":
		return valueOf(x.r.Fields, on.Header)
	case on.Cookie != "":
		return cookie(x.r.Fields, on.Cookie)
	case on.Query != "":
		return parameter(x.r.Query, on.Query)
	case on.ClientAddress:
		return x.client()
	}
	return ""
}

func valueOf(fields message.Fields, name string) string {
	for i := range fields {
		if strings.EqualFold(fields[i].Name, name) {
			return fields[i].Value
		}
	}
	return ""
}

func cookie(fields message.Fields, name string) string {
	for i := range fields {
		if fields[i].Known != message.Cookie {
			continue
		}
		for pair := range strings.SplitSeq(fields[i].Value, ";") {
			if key, value, _ := strings.Cut(strings.TrimSpace(pair), "="); key == name {
				return value
			}
		}
	}
	return ""
}

func parameter(query, name string) string {
	for pair := range strings.SplitSeq(query, "&") {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			return value
		}
	}
	return ""
}

// promptBeginning is how much of a prompt is looked at: whose beginnings are the same for as long share
// what a model server keeps of them.
const promptBeginning = 1024

// prompts are the members of requests that hold one, by how model servers name them.
var prompts = [][]byte{[]byte(`"messages"`), []byte(`"prompt"`), []byte(`"inputs"`), []byte(`"input"`)}

// prompt is the beginning of the prompt in the body of a request, as far as that is here; nothing for
// other bodies. It is not parsed: the same clients write it in the same way.
func prompt(body []byte) []byte {
	for _, member := range prompts {
		if i := bytes.Index(body, member); i >= 0 {
			return body[i:min(len(body), i+len(member)+promptBeginning)]
		}
	}
	return nil
}
