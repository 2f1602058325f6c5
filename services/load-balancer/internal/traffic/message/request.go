package message

import (
	"net/netip"
	"strings"
)

// ParseRequest reads a whole head, its empty line included, into r, which is new or was Reset. The
// bytes are copied once.
func (r *Request) ParseRequest(raw []byte) error {
	text := string(raw)
	end := strings.IndexByte(text, '\n')
	if end < 1 || text[end-1] != '\r' {
		return bad("request line", "it must end with CR LF")
	}
	if err := r.parseLine(raw[:end-1], text[:end-1]); err != nil {
		return err
	}
	var err error
	if r.Fields, err = parseFields(r.Fields[:0], raw[end+1:], text[end+1:], false); err != nil {
		return err
	}
	if err := r.interpret(); err != nil {
		return err
	}
	return r.parseTarget()
}

// parseLine reads method, target and version: one space between them, nothing else.
func (r *Request) parseLine(raw []byte, text string) error {
	first := strings.IndexByte(text, ' ')
	last := strings.LastIndexByte(text, ' ')
	if first <= 0 || last <= first+1 {
		return bad("request line", "it must be a method, a target and a version with one space between them")
	}
	r.Method, r.Target = text[:first], text[first+1:last]
	if !isToken(r.Method) {
		return bad("method", "it must be letters, digits and !#$%&'*+-.^_`|~")
	}
	for _, c := range raw[first+1 : last] {
		if c <= ' ' || c == 0x7f || c == '#' {
			return bad("target", "it must not have blanks, control characters or a fragment")
		}
	}
	return r.parseVersion(text[last+1:])
}

func (r *Request) parseVersion(text string) error {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	if len(text) != len("HTTP/1.1") || !strings.HasPrefix(text, "HTTP/") || !digit(text[5]) || text[6] != '.' || !digit(text[7]) {
		return bad("version", "it must be HTTP/1.1 or HTTP/1.0")
	}
	switch {
	case text[5] != '1':
		return &Error{Part: "version", Allowed: "it must be HTTP/1.1 or HTTP/1.0; HTTP/2 begins with its own preface", Version: true}
	case text[7] == '0':
		r.Version = HTTP10
	default:
		r.Version = HTTP11
	}
	return nil
}

// interpret takes from the fields what the exchange goes by.
func (r *Request) interpret() error {
	body := framing{length: -1}
	hosts, said := 0, options{}
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.Known {
		case Host:
			hosts++
			r.Host = f.Value
		case ContentLength, TransferEncoding:
			if err := body.take(f); err != nil {
				return err
			}
		case Connection:
			if err := said.take(f.Value); err != nil {
				return err
			}
		case Upgrade:
			if r.Upgrade == "" {
				r.Upgrade = offered(f.Value)
			}
		case Expect:
			if !foldedEqual(f.Value, "100-continue") {
				return bad("Expect", "it must be 100-continue")
			}
			r.Expect = r.Version == HTTP11
		case TE:
			r.Trailers = r.Trailers || lists(f.Value, "trailers")
		default:
		}
	}
	if hosts > 1 || hosts == 0 && r.Version == HTTP11 {
		return bad("Host", "there must be one")
	}
	if !validHost(r.Host) {
		return bad("Host", "it must be a name or an address, with or without a port")
	}
	r.Close = said.close || r.Version == HTTP10 && !said.keep
	if err := r.frame(body); err != nil {
		return err
	}
	if !said.upgrade || r.Length != 0 || r.Version != HTTP11 {
		r.Upgrade = "" // and who sends a body first could not change protocols in time
	}
	r.Expect = r.Expect && r.Length != 0
	return nil
}

// frame says how long the body is. What two programs could read in two ways is refused.
func (r *Request) frame(body framing) error {
	switch {
	case body.lengths > 0 && body.codings > 0:
		return bad("Content-Length", "it must not stand beside Transfer-Encoding")
	case body.lengths > 1:
		return bad("Content-Length", "it must be there once")
	case body.codings > 1:
		return bad("Transfer-Encoding", "it must be there once")
	case body.chunked && r.Version == HTTP10:
		return bad("Transfer-Encoding", "HTTP/1.0 has none")
	case body.chunked:
		r.Length = -1
	case body.lengths == 1:
		r.Length = body.length
	}
	return nil
}

// offered is the first protocol that may be offered on to a pod. HTTP/2 in clear text is none: the
// pod would speak past this proxy.
func offered(list string) string {
	for protocol := range strings.SplitSeq(list, ",") {
		protocol = strings.Trim(protocol, " \t")
		if name, _, _ := strings.Cut(protocol, "/"); !foldedEqual(name, "h2c") && !foldedEqual(name, "h2") && !foldedEqual(name, "http") && isUpgrade(protocol) {
			return protocol
		}
	}
	return ""
}

func isUpgrade(protocol string) bool {
	name, version, has := strings.Cut(protocol, "/")
	return isToken(name) && (!has || isToken(version))
}

// parseTarget takes the target apart (RFC 9112, section 3.2).
func (r *Request) parseTarget() error {
	target := r.Target
	switch {
	case target[0] == '/':
	case r.Method == "CONNECT": //nolint:usestdlibvars // net/http is not for a pure package
		return nil // refused by whoever reads the method
	case target == "*":
		if r.Method != "OPTIONS" { //nolint:usestdlibvars // as above
			return bad("target", "* goes with OPTIONS alone")
		}
	default:
		var err error
		if target, err = r.absolute(target); err != nil {
			return err
		}
	}
	r.Path, r.Query, r.HasQuery = strings.Cut(target, "?")
	return nil
}

// absolute takes scheme and host off a target, and returns what is left. They go before the Host
// field, which must be there all the same.
func (r *Request) absolute(target string) (string, error) {
	scheme, rest, ok := strings.Cut(target, "://")
	switch {
	case ok && strings.EqualFold(scheme, "http"):
		r.Scheme = "http"
	case ok && strings.EqualFold(scheme, "https"):
		r.Scheme = "https"
	default:
		return "", bad("target", "it must begin with / or http://")
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	host := rest[:end]
	if host == "" || host[0] == ':' || !validHost(host) {
		return "", bad("target", "its host must be a name or an address, with or without a port, and without a user")
	}
	r.Host = host
	rest = rest[end:]
	if rest == "" || rest[0] == '?' {
		rest = "/" + rest
	}
	return rest, nil
}

// validHost tells whether this may be a host with or without a port; "" is one that says nothing.
func validHost(host string) bool {
	if host != "" && host[0] == '[' {
		return validLiteral(host)
	}
	port := -1
	for i := range len(host) {
		switch c := host[i]; {
		case c == ':':
			if port >= 0 || i == 0 {
				return false
			}
			port = i + 1
		case port >= 0:
			if c < '0' || c > '9' {
				return false
			}
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
		case c == '!', c == '$', c == '&', c == '\'', c == '(', c == ')', c == '*', c == '+', c == ';', c == '=':
		default:
			return false
		}
	}
	return true
}

// validLiteral is the same of an IPv6 address in brackets. A zone means something on one machine alone.
func validLiteral(host string) bool {
	end := strings.IndexByte(host, ']')
	if end < 0 {
		return false
	}
	if ip, err := netip.ParseAddr(host[1:end]); err != nil || !ip.Is6() || ip.Zone() != "" {
		return false
	}
	port := host[end+1:]
	if port == "" {
		return true
	}
	for i := range len(port) {
		if c := port[i]; i == 0 && c != ':' || i > 0 && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
