package accesslog

import (
	"strconv"
	"strings"
)

func (o *Options) http(b []byte, r *Record) []byte {
	const request = `"request":{`
	b = text(append(b, `"http":{`...), `"version":"`, r.Version, maxWord)
	b = text(append(b, request...), `"id":"`, r.RequestID, maxID)
	b = text(b, `"method":"`, r.Method, maxWord)
	b = mimeType(b, r.RequestType)
	if r.Referrer != "" {
		b = append(o.address(append(b, `"referrer":"`...), r.Referrer, maxReferrer), `",`...)
	}
	b = bodyBytes(b, r.RequestBytes)
	b = closeObject(o.headers(b, r.RequestHeaders), 0, 0)
	b = number(b, `"response":{"status_code":`, int64(r.ShownStatus()))
	b = mimeType(b, r.ResponseType)
	if r.Status != 0 && r.Refusal == "" { // what a refusal says is not counted
		b = bodyBytes(b, r.ResponseBytes)
	}
	return closeObject(closeObject(o.headers(b, r.ResponseHeaders), 0, 0), 0, 0)
}

func bodyBytes(b []byte, n int64) []byte {
	return append(appendInt(append(b, `"body":{"bytes":`...), n), `},`...)
}

// mimeType appends a media type without its parameters, in lower case.
func mimeType(b []byte, value string) []byte {
	if value == "" {
		return b
	}
	if semicolon := strings.IndexByte(value, ';'); semicolon >= 0 {
		value = value[:semicolon]
	}
	from := len(b)
	if strings.ContainsAny(value, " \t") {
		value = strings.Trim(value, " \t")
	}
	b = text(b, `"mime_type":"`, value, maxType)
	for i, c := range b[from:] {
		if c >= 'A' && c <= 'Z' {
			b[from+i] = c + 'a' - 'A'
		}
	}
	return b
}

func (o *Options) headers(b []byte, all []Header) []byte {
	if len(all) == 0 {
		return b
	}
	b = append(b, `"headers":{`...)
	for _, h := range all {
		b = append(append(append(b, '"'), h.Name...), `":[`...)
		for _, value := range h.Values[:min(len(h.Values), maxValues)] {
			b = append(b, '"')
			if isAddress(h.Name) {
				b = o.address(b, value, maxHeader)
			} else {
				b = appendText(b, value, maxHeader)
			}
			b = append(b, `",`...)
		}
		if last := len(b) - 1; b[last] == ',' {
			b = b[:last]
		}
		b = append(b, `],`...)
	}
	return closeObject(b, 0, 0)
}

func (o *Options) url(b []byte, r *Record) []byte {
	const name = `"url":{`
	from := len(b)
	b = text(append(b, name...), `"path":"`, r.Path, maxPath)
	var query []byte // as it is written
	if r.Query != "" {
		b = append(b, `"query":"`...)
		at := len(b)
		b = o.query(b, r.Query, maxQuery)
		query = b[at:]
		b = append(b, `",`...)
	}
	if r.Path != "" {
		b = appendText(append(b, `"original":"`...), r.Path, maxPath)
		switch left := maxOriginal - len(r.Path) - 1; {
		case len(query) == 0 || left <= 0:
		case len(query)+2 <= left:
			b = append(append(b, '?'), query...)
		default:
			b = o.query(append(b, '?'), r.Query, left)
		}
		b = append(b, `",`...)
	}
	domain, port := hostPort(withoutUser(r.Host))
	b = text(b, `"domain":"`, domain, maxHost)
	b = positive(b, `"port":`, int64(port))
	b = text(b, `"scheme":"`, r.Scheme, maxWord)
	return closeObject(b, from, len(name))
}

// hostPort divides a host from a port that stands in its usual form.
func hostPort(host string) (string, uint16) {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || colon+1 == len(host) || host[colon+1] == '0' || host[colon+1] == '+' || strings.HasSuffix(host, "]") {
		return host, 0
	}
	port, err := strconv.ParseUint(host[colon+1:], 10, 16)
	if err != nil {
		return host, 0
	}
	return host[:colon], uint16(port)
}

// ends appends who asked, by way of whom, and which pod answered.
func ends(b []byte, r *Record) []byte {
	var port uint16
	if r.Client == r.Peer { // else only the last proxy knows it
		port = r.PeerPort
	}
	b = end(b, `"client":{`, r.Client, port, maxWord)
	b = end(b, `"source":{`, r.Peer, r.PeerPort, maxWord)
	address, port := hostPort(r.Address)
	address = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	b = end(b, `"destination":{`, address, port, maxHost)
	if r.UserAgent != "" {
		b = appendText(append(b, `"user_agent":{"original":"`...), r.UserAgent, maxAgent)
		b = append(b, `"},`...)
	}
	return b
}

// end appends one end of a connection.
func end(b []byte, name, address string, port uint16, limit int) []byte {
	from := len(b)
	b = text(append(b, name...), `"address":"`, address, limit)
	at := len(b)
	b, ok := appendIP(append(b, `"ip":"`...), address)
	if ok {
		b = append(b, `",`...)
	} else {
		b = b[:at]
	}
	return closeObject(positive(b, `"port":`, int64(port)), from, len(name))
}
