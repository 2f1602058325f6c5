package message

// Known is a field that something here acts upon.
type Known uint8

// The known fields. Other is every other one.
const (
	Other Known = iota
	Connection
	KeepAlive
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	TE
	Trailer
	TransferEncoding
	Upgrade
	HTTP2Settings
	Host
	ContentLength
	Expect
	Forwarded
	XForwardedFor
	XForwardedHost
	XForwardedPort
	XForwardedPrefix
	XForwardedProto
	XRealIP
	Traceparent
	Tracestate
	Baggage
	ContentType
	ContentEncoding
	ContentLocation
	Location
	Link
	Refresh
	SetCookie
	Date
	UserAgent
	Referer
	XRequestID
	Authorization
	Cookie
	CacheControl
	ContentRange
	MaxForwards
	Origin
	Accept
	ServerTiming
	lastKnown
)

// names are the known fields in lower case.
var names = [lastKnown]string{
	Connection: "connection", KeepAlive: "keep-alive", ProxyConnection: "proxy-connection",
	ProxyAuthenticate: "proxy-authenticate", ProxyAuthorization: "proxy-authorization", TE: "te", Trailer: "trailer",
	TransferEncoding: "transfer-encoding", Upgrade: "upgrade", HTTP2Settings: "http2-settings", Host: "host", ContentLength: "content-length",
	Expect: "expect", Forwarded: "forwarded", XForwardedFor: "x-forwarded-for", XForwardedHost: "x-forwarded-host",
	XForwardedPort: "x-forwarded-port", XForwardedPrefix: "x-forwarded-prefix", XForwardedProto: "x-forwarded-proto",
	XRealIP: "x-real-ip", Traceparent: "traceparent", Tracestate: "tracestate", Baggage: "baggage",
	ContentType: "content-type", ContentEncoding: "content-encoding", ContentLocation: "content-location",
	Location: "location", Link: "link", Refresh: "refresh", SetCookie: "set-cookie", Date: "date", UserAgent: "user-agent", Referer: "referer",
	XRequestID: "x-request-id", Authorization: "authorization", Cookie: "cookie", CacheControl: "cache-control",
	ContentRange: "content-range", MaxForwards: "max-forwards", Origin: "origin", Accept: "accept", ServerTiming: "server-timing",
}

// longestKnown bounds the names that are looked up at all.
const longestKnown = 20

// byLength are the known fields by the length of their names, so that a name is compared with few.
var byLength = func() (table [longestKnown][]Known) {
	for k := Other + 1; k < lastKnown; k++ {
		table[len(names[k])] = append(table[len(names[k])], k)
	}
	return table
}()

// KnownAs finds a field by its name, whatever its case.
func KnownAs(name string) Known {
	if len(name) >= longestKnown {
		return Other
	}
	for _, k := range byLength[len(name)] {
		if foldedEqual(name, names[k]) {
			return k
		}
	}
	return Other
}

// hopByHop are the fields that concern one connection only.
func (k Known) hopByHop() bool { return k >= Connection && k <= HTTP2Settings }

// framing are the fields that say where a message goes and ends: no list may take them away.
func (k Known) framing() bool { return k == Host || k == ContentLength || k == TransferEncoding }

// Says who asked: what a stranger writes there is not believed.
func (k Known) Says() bool { return k >= Forwarded && k <= XRealIP }

// trailing tells whether the field may follow a body (RFC 9110, section 6.5.1): nothing that frames,
// routes, authorises or says how the body is to be read.
func (k Known) trailing() bool {
	switch k {
	case Authorization, Cookie, SetCookie, ContentType, ContentEncoding, ContentRange, CacheControl, MaxForwards, Location, Date, Origin:
		return false
	default:
		return !k.hopByHop() && !k.framing() && !k.Says() && k != Expect
	}
}

// foldedEqual compares a name with one in lower case.
func foldedEqual(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(lower) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// forged tells whether a name differs from one that is acted upon by underscores alone: many
// applications see both as the same variable (HTTP_X_FORWARDED_FOR).
func forged(name string) bool {
	if len(name) >= longestKnown {
		return false
	}
	var dashed [longestKnown]byte
	found := false
	for i := range len(name) {
		c := name[i]
		if c == '_' {
			c, found = '-', true
		}
		dashed[i] = c
	}
	if !found {
		return false
	}
	k := KnownAs(string(dashed[:len(name)]))
	return k.Says() || k.hopByHop() || k.framing() || k == Authorization || k == Cookie
}
