package proxy

import (
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// trusting believes the proxies of these ranges.
func trusting(ranges ...string) func(*Options, *routing.Route) {
	return func(o *Options, _ *routing.Route) {
		for _, r := range ranges {
			o.TrustedProxies = append(o.TrustedProxies, netip.MustParsePrefix(r))
		}
	}
}

// sentOf is what goes to the pod for a request of these lines.
func sentOf(t *testing.T, c *client, head string, change ...func(*Options, *routing.Route)) (sent Outgoing, fields []string) {
	t.Helper()
	u := newUnit(t, sends(func(to Destination, r *Outgoing) (Answer, error) {
		sent, fields = *r, append(passed(r.Head.Fields), passed(r.Add)...)
		return hello(to, r)
	}), change...)
	u.ask(c, head)
	return sent, fields
}

// own are the fields that are added for a stranger's request.
var own = []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: example.com", "X-Forwarded-Prefix: /shop"}

func TestOutgoing_FieldsKeepTheirOrderAndSpelling(t *testing.T) {
	_, fields := sentOf(t, newClient(), "GET /shop HTTP/1.1\nsec-WebSocket-KEY: k\nHost: example.com\naccept: a\nX-B: 2\nAccept: b\nx-b: 1\nX-Empty:")
	equal(t, "fields", fields, append([]string{"sec-WebSocket-KEY: k", "accept: a", "X-B: 2", "Accept: b", "x-b: 1", "X-Empty: "}, own...))
}

func TestOutgoing_LeavesOutWhatConcernsOneConnection(t *testing.T) {
	for name, c := range map[string]struct {
		lines string
		want  []string
	}{
		"every field that does": {
			"Connection: close\nKeep-Alive: timeout=5\nProxy-Connection: x\nProxy-Authorization: x\nProxy-Authenticate: x\nTE: gzip\nTrailer: X\nUpgrade: h2c\nHTTP2-Settings: x\nX-Kept: yes",
			[]string{"X-Kept: yes"},
		},
		"what Connection names": {"Connection: close, X-Secret , keep-alive\nX-Secret: 1\nx-secret: 2\nX-Kept: yes", []string{"X-Kept: yes"}},
		"also before it":        {"X-SECRET: 1\nConnection: x-secret\nX-Kept: yes", []string{"X-Kept: yes"}},
		"two Connections":       {"Connection: a\nConnection: b\nA: 1\nB: 2\nC: 3", []string{"C: 3"}},
		"a list with gaps":      {"Connection: , ,a,,\nA: 1\nC: 3", []string{"C: 3"}},
		"an expectation":        {"Expect: 100-continue\nX-Kept: yes", []string{"X-Kept: yes"}},
		"a length of nothing":   {"Content-Length: 0\nX-Kept: yes", []string{"X-Kept: yes"}},
		"forgeries":             {"X_Forwarded_For: 6.6.6.6\nx_forwarded-proto: https\nX-Real_IP: 6.6.6.6\nTransfer_Encoding: chunked\nContent_Length: 5\nX_Other: stays", []string{"X_Other: stays"}},
	} {
		_, fields := sentOf(t, newClient(), "GET /shop HTTP/1.1\nHost: example.com\n"+c.lines)
		equal(t, name, fields, append(c.want, own...))
	}
}

func TestOutgoing_ConnectionTakesNoFramingAway(t *testing.T) {
	sent, _ := sentOf(t, newClient(part{text: "hello"}), "POST /shop HTTP/1.1\nHost: example.com\nConnection: Host, Content-Length, close\nContent-Length: 5")
	if string(sent.Whole) != "hello" || sent.Length != 5 || sent.Host != "example.com" {
		t.Errorf("sent %+v", sent)
	}
}

func TestOutgoing_IsTheRequestBehindThePrefix(t *testing.T) {
	sent, _ := sentOf(t, newClient(), "GET /shop/1?q=%2F HTTP/1.1\nHost: example.com:8080")
	if sent.Path != "/1" || !sent.Head.HasQuery || sent.Head.Query != "q=%2F" || sent.Upgrade != "" || sent.Host != "example.com:8080" || sent.Length != 0 || sent.Streams {
		t.Errorf("sent %+v", sent)
	}
	sent, _ = sentOf(t, newClient(), "GET http://other.example/shop? HTTP/1.1\nHost: example.com")
	if sent.Path != "/" || !sent.Head.HasQuery || sent.Head.Query != "" || sent.Host != "other.example" {
		t.Errorf("sent %+v", sent)
	}
}

func TestOutgoing_KeepsUpgradesAndTrailersButHTTP2(t *testing.T) {
	for upgrade, want := range map[string]string{
		"websocket": "websocket", "WebSocket": "WebSocket", "h2c": "", "H2C": "", "websocket, h2c": "websocket", "h2c, websocket": "websocket", "SPDY/3.1": "SPDY/3.1", "HTTP/2.0": "", "a b": "",
	} {
		sent, fields := sentOf(t, newClient(), "GET /shop HTTP/1.1\nHost: example.com\nConnection: keep-alive, Upgrade\nUpgrade: "+upgrade+"\nTE: gzip;q=1, trailers")
		if sent.Upgrade != want {
			t.Errorf("%s: upgrade %q", upgrade, sent.Upgrade)
		}
		equal(t, upgrade, fields, append([]string{"TE: trailers"}, own...))
	}
	for name, head := range map[string]string{
		"not named in Connection": "GET /shop HTTP/1.1\nHost: a\nUpgrade: websocket",
		"with a body":             "POST /shop HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nContent-Length: 5",
		"in HTTP/1.0":             "GET /shop HTTP/1.0\nHost: a\nConnection: Upgrade\nUpgrade: websocket",
	} {
		if sent, _ := sentOf(t, newClient(part{text: "hello"}), head); sent.Upgrade != "" {
			t.Errorf("an Upgrade %s was passed on", name)
		}
	}
}

func TestOutgoing_OnlyWhatChangesNothingMayBeSentAgain(t *testing.T) {
	for method, want := range map[string]bool{"GET": true, "HEAD": true, "OPTIONS": true, "POST": false, "PUT": false, "DELETE": false, "PATCH": false, "TRACE": false, "get": false, "PROPFIND": false} {
		if sent, _ := sentOf(t, newClient(), method+" /shop HTTP/1.1\nHost: a"); sent.Resend != want {
			t.Errorf("%s: %v", method, sent.Resend)
		}
	}
}

func TestOutgoing_TrailersAreAnnouncedAndFollowTheBody(t *testing.T) {
	head := "POST /shop HTTP/1.1\nHost: example.com\nTransfer-Encoding: chunked\nTrailer: X-Sum"
	c := newClient(part{text: "hello"})
	c.trailer = message.Fields{{Name: "X-Sum", Value: "42"}}
	sent, fields := sentOf(t, c, head)
	if !sent.Streams || sent.Length != -1 || string(sent.Begun) != "hello" || len(sent.Client.Trailer()) != 1 {
		t.Errorf("sent %+v", sent)
	}
	equal(t, "with one", fields, append(own[:4:4], "Trailer: X-Sum"))

	sent, fields = sentOf(t, newClient(part{text: "hello"}), head) // none came: then it is a body like another
	if sent.Streams || sent.Length != 5 || string(sent.Whole) != "hello" {
		t.Errorf("without one: sent %+v", sent)
	}
	equal(t, "without one", fields, own)
}

func TestForwarded_IsBelievedOnlyOfTrustedProxies(t *testing.T) {
	const claims = "GET /shop/1 HTTP/1.1\nHost: example.com\nX-Forwarded-For: 203.0.113.9\nX-Forwarded-Proto: https\nX-Forwarded-Host: shop.example\nX-Forwarded-Prefix: /outer\nX-Forwarded-Port: 443\nX-Real-IP: 203.0.113.9\nForwarded: for=x"
	for name, c := range map[string]struct {
		trusted []string
		want    []string
	}{
		"a stranger": {[]string{"10.0.0.0/8"}, own},
		"a trusted proxy": {[]string{"10.0.0.0/8", "192.0.2.0/24"}, []string{
			"X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example", "X-Forwarded-Port: 443", "X-Real-IP: 203.0.113.9", "Forwarded: for=x",
			"X-Forwarded-For: 203.0.113.9, 192.0.2.1", "X-Forwarded-Prefix: /outer/shop",
		}},
	} {
		_, fields := sentOf(t, newClient(), claims, trusting(c.trusted...))
		equal(t, name, fields, c.want)
	}
}

func TestForwarded_SaysHowTheClientCame(t *testing.T) {
	for name, c := range map[string]struct {
		tls     bool
		trusted bool
		says    string
		proto   []string
		scheme  string
	}{
		"in clear":                             {false, false, "", []string{"X-Forwarded-Proto: http"}, "http"},
		"over TLS":                             {true, false, "", []string{"X-Forwarded-Proto: https"}, "https"},
		"a stranger says https":                {false, false, "https", []string{"X-Forwarded-Proto: http"}, "http"},
		"a trusted one says https":             {false, true, "https", []string{"X-Forwarded-Proto: https"}, "https"},
		"a trusted one says http over TLS":     {true, true, "http", []string{"X-Forwarded-Proto: http"}, "http"},
		"a trusted one says what came before":  {false, true, "HTTPS, http", []string{"X-Forwarded-Proto: HTTPS, http"}, "https"},
		"a trusted one says nothing, over TLS": {true, true, "", []string{"X-Forwarded-Proto: https"}, "https"},
	} {
		u := newUnit(t, nil)
		var fields []string
		if c.trusted {
			u = newUnit(t, nil, trusting("192.0.2.0/24"))
		}
		u.o.Sender = sends(func(to Destination, r *Outgoing) (Answer, error) {
			for _, f := range append(passed(r.Head.Fields), passed(r.Add)...) {
				if strings.HasPrefix(f, "X-Forwarded-Proto") {
					fields = append(fields, f)
				}
			}
			return hello(to, r)
		})
		head := "GET /shop HTTP/1.1\nHost: example.com"
		if c.says != "" {
			head += "\nX-Forwarded-Proto: " + c.says
		}
		from := newClient()
		from.peer.TLS = c.tls
		record := u.ask(from, head)
		equal(t, name, fields, c.proto)
		if record.Scheme != c.scheme {
			t.Errorf("%s: the log has %s", name, record.Scheme)
		}
	}
}

func TestForwarded_JoinsWhatSeveralLinesSay(t *testing.T) {
	_, fields := sentOf(t, newClient(), "GET /shop HTTP/1.1\nHost: example.com\nX-Forwarded-For: 6.6.6.6, 198.51.100.7\nConnection: X-Forwarded-For\nx-forwarded-for: 10.1.1.1", trusting("192.0.2.0/24"))
	equal(t, "fields", fields, append([]string{"X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.1.1.1, 192.0.2.1"}, own[1:]...))
}

func TestForwarded_OfTheRootSaysNoPrefix(t *testing.T) {
	_, fields := sentOf(t, newClient(), "GET /a HTTP/1.1\nHost: example.com", func(_ *Options, r *routing.Route) { r.Prefix = "/" })
	equal(t, "fields", fields, own[:3])
}

func TestClient_IsWhoStandsBeforeTheTrustedProxies(t *testing.T) {
	for name, c := range map[string]struct {
		trusted []string
		chain   []string
		want    string
	}{
		"nobody is trusted":               {nil, []string{"198.51.100.7"}, "192.0.2.1"},
		"another one is trusted":          {[]string{"10.0.0.0/8"}, []string{"198.51.100.7"}, "192.0.2.1"},
		"the peer is trusted":             {[]string{"192.0.2.0/24"}, []string{"198.51.100.7"}, "198.51.100.7"},
		"what stands before is a claim":   {[]string{"192.0.2.0/24"}, []string{"127.0.0.1, 198.51.100.7"}, "198.51.100.7"},
		"two trusted ones":                {[]string{"192.0.2.0/24", "10.0.0.0/8"}, []string{"6.6.6.6, 198.51.100.7,10.1.1.1"}, "198.51.100.7"},
		"in several lines":                {[]string{"192.0.2.0/24", "10.0.0.0/8"}, []string{"6.6.6.6, 198.51.100.7", "10.1.1.1"}, "198.51.100.7"},
		"all are trusted":                 {[]string{"192.0.2.0/24", "10.0.0.0/8"}, []string{"10.2.2.2, 10.1.1.1"}, "10.2.2.2"},
		"the trusted one says nothing":    {[]string{"192.0.2.0/24"}, nil, "192.0.2.1"},
		"the trusted one says no address": {[]string{"192.0.2.0/24"}, []string{"198.51.100.7, unknown"}, "192.0.2.1"},
		"with a port":                     {[]string{"192.0.2.0/24"}, []string{"198.51.100.7:4711"}, "198.51.100.7"},
		"IPv6 with a port":                {[]string{"192.0.2.0/24"}, []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		"IPv6 with a zone":                {[]string{"192.0.2.0/24"}, []string{"fe80::1%eth0"}, "fe80::1"},
		"IPv4 in IPv6":                    {[]string{"192.0.2.0/24"}, []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
	} {
		head := "GET /shop/1 HTTP/1.1\nHost: example.com"
		for _, line := range c.chain {
			head += "\nX-Forwarded-For: " + line
		}
		for _, refused := range []bool{false, true} { // prepared for the pod, or not
			u := newUnit(t, sends(hello), trusting(c.trusted...))
			asked := head
			if refused {
				asked = strings.Replace(head, "/shop", "/none", 1)
			}
			if r := u.ask(newClient(), asked); r.Client != c.want || r.Peer != "192.0.2.1" || r.PeerPort != 4711 {
				t.Errorf("%s, refused %v: %s by way of %s:%d, want %s", name, refused, r.Client, r.Peer, r.PeerPort, c.want)
			}
		}
	}
}

func FuzzClient(f *testing.F) {
	f.Add("198.51.100.7, 192.0.2.9")
	f.Add(",,[::1]:5,")
	f.Add("fe80::1%25eth0, ::ffff:1.2.3.4")
	u := newUnit(f, sends(hello), trusting("0.0.0.0/0", "::/0"))
	f.Fuzz(func(t *testing.T, chain string) {
		x := &exchange{p: u.Proxy, peer: newClient().peer, r: &message.Request{Fields: message.Fields{{Name: "X-Forwarded-For", Value: chain, Known: message.XForwardedFor}}}}
		got := x.client()
		if address, err := netip.ParseAddr(got); err != nil || address.Zone() != "" {
			t.Errorf("%q gives the client %q, which is no address", chain, got)
		}
	})
}

func TestExpect_GoesOnAndTheBodyIsNotTouchedBefore(t *testing.T) {
	c := newClient(part{text: "hello"})
	read := 0
	u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
		read = c.reads
		if !r.Expect || !r.Streams || r.Length != 5 || len(r.Begun) > 0 {
			t.Errorf("sent %+v", r)
		}
		if body, err := io.ReadAll(r.Client); string(body) != "hello" || err != nil {
			t.Errorf("the body is %q, %v", body, err)
		}
		return answers(r, "HTTP/1.1 204 No Content"), nil
	}))
	record := u.ask(c, "PUT /shop HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 5")
	if read != 0 || record.RequestBytes != 5 || c.head.Close {
		t.Errorf("read %d times before it was sent; %d bytes; close %v", read, record.RequestBytes, c.head.Close)
	}
}

func TestExpect_RefusedByThePodClosesTheConnection(t *testing.T) {
	c := newClient(part{text: "hello"})
	u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
		return answers(r, "HTTP/1.1 417 Expectation Failed\nContent-Length: 0"), nil
	}))
	if record := u.ask(c, "PUT /shop HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 5"); record.Status != 417 || c.reads > 0 || !c.head.Close || c.continued != 0 {
		t.Errorf("status %d, read %d times, close %v", record.Status, c.reads, c.head.Close)
	}
}

func TestInform_PassesEarlyAnswersOnButToHTTP10(t *testing.T) {
	for version, want := range map[string][]string{"HTTP/1.1": {"Early Hints|Link: </a>|X-A: 1", "Processing"}, "HTTP/1.0": nil} {
		c := newClient()
		u := newUnit(t, sends(func(_ Destination, r *Outgoing) (Answer, error) {
			for _, hint := range []string{"HTTP/1.1 103 Early Hints\nLink: </a>\nConnection: X-B\nX-B: 2\nContent-Length: 3\nX-A: 1", "HTTP/1.1 102 Processing"} {
				early := &message.Response{}
				if err := early.ParseResponse([]byte(lines(hint)), false); err != nil {
					t.Fatal(err)
				}
				r.Inform.Inform(early)
			}
			return answers(r, "HTTP/1.1 200 OK\nContent-Length: 0"), nil
		}))
		u.ask(c, "GET /shop "+version+"\nHost: a")
		equal(t, version, c.informed, want)
	}
}
