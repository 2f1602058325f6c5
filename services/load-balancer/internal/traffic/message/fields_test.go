package message

import (
	"slices"
	"strings"
	"testing"
)

func fields(lines ...string) Fields {
	var all Fields
	for _, line := range lines {
		f, err := parseField([]byte(line), line)
		if err != nil {
			panic(err)
		}
		all = append(all, f)
	}
	return all
}

// passed are the names of the fields that are passed on.
func passed(all Fields) []string {
	var names []string
	for _, f := range all {
		if !f.Dropped {
			names = append(names, f.Name)
		}
	}
	return names
}

func TestKnownAs_FindsEveryNameWhateverItsCase(t *testing.T) {
	for k := Other + 1; k < lastKnown; k++ {
		name := names[k]
		if name == "" || len(name) >= longestKnown || name != strings.ToLower(name) {
			t.Errorf("%d has the name %q", k, name)
		}
		for _, spelled := range []string{name, strings.ToUpper(name), strings.Title(name)} { //nolint:staticcheck // SA1019: ASCII alone
			if got := KnownAs(spelled); got != k {
				t.Errorf("%q: %d, want %d", spelled, got, k)
			}
		}
		for _, other := range []string{name + "x", name[1:], "x" + name, name[:len(name)-1] + "\x00"} {
			if got := KnownAs(other); got == k {
				t.Errorf("%q is known as %s", other, name)
			}
		}
	}
	for _, name := range []string{"", "x", strings.Repeat("a", longestKnown), strings.Repeat("a", 1000), "\u212aeep-alive"} {
		if got := KnownAs(name); got != Other {
			t.Errorf("%q: %d", name, got)
		}
	}
}

func TestParseField_DropsNamesThatApplicationsTakeForOthers(t *testing.T) {
	for name, dropped := range map[string]bool{
		"X_Forwarded_For": true, "x_forwarded-for": true, "X-Forwarded_Proto": true, "Content_Length": true, "Transfer_Encoding": true,
		"X_Real_IP": true, "Proxy_Connection": true, "authorization": false, "Authorization": false, "Cookie": false,
		"X-Forwarded-For": false, "X_Custom": false, "User_Agent": false, "_": false, "X_Forwarded_For_": false, strings.Repeat("_", 30): false,
	} {
		if f := fields(name + ": 1")[0]; f.Dropped != dropped {
			t.Errorf("%s: dropped is %v", name, f.Dropped)
		}
	}
}

func TestFields_AreFoundByWhatTheyAreAndByName(t *testing.T) {
	fs := fields("accept: a", "X-One: 1", "Accept: b", "x-one: 2")
	if fs.First(Accept) != "a" || fs.First(Cookie) != "" || fs.Named("x-one") != "1" || fs.Named("x-two") != "" {
		t.Errorf("%q, %q, %q, %q", fs.First(Accept), fs.First(Cookie), fs.Named("x-one"), fs.Named("x-two"))
	}
	if !fs.Has(Accept) || fs.Has(Cookie) || !fs[1].Is("x-one") || fs[1].Is("x-on") {
		t.Error("a field is not known for what it is")
	}
	fs.Drop(Accept)
	if got := passed(fs); !slices.Equal(got, []string{"X-One", "x-one"}) {
		t.Errorf("%q", got)
	}
}

func TestDropHopByHop_TakesWhatConcernsOneConnectionAndWhatConnectionNames(t *testing.T) {
	for name, c := range map[string]struct{ lines, want []string }{
		"all of them": {[]string{
			"Connection: close", "Keep-Alive: timeout=5", "Proxy-Connection: x", "Proxy-Authenticate: x", "Proxy-Authorization: x", "TE: trailers",
			"Trailer: x", "Transfer-Encoding: chunked", "Upgrade: x", "HTTP2-Settings: x", "A: b",
		}, []string{"A"}},
		"what is named":               {[]string{"X-One: 1", "Connection: x-ONE ,, X-Two", "x-one: 2", "X-Two: 3", "A: b"}, []string{"A"}},
		"in several fields":           {[]string{"Connection: x-one", "X-One: 1", "X-Two: 2", "Connection: x-two", "A: b"}, []string{"A"}},
		"the body's frame and host":   {[]string{"Connection: Host, Content-Length", "Host: h", "Content-Length: 5"}, []string{"Host", "Content-Length"}},
		"nothing":                     {[]string{"Connection:", "A: b"}, []string{"A"}},
		"keep-alive names no field":   {[]string{"Connection: keep-alive", "A: b"}, []string{"A"}},
		"an end-to-end field may go":  {[]string{"Connection: close, authorization", "Authorization: x"}, nil},
		"names that only begin alike": {[]string{"Connection: x-on", "X-One: 1"}, []string{"X-One"}},
	} {
		fs := fields(c.lines...)
		fs.DropHopByHop()
		if got := passed(fs); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q are passed on, want %q", name, got, c.want)
		}
	}
}

func TestParseTrailer_PassesOnNothingThatFramesRoutesOrAuthorises(t *testing.T) {
	for _, name := range []string{
		"Authorization", "Content-Length", "Transfer-Encoding", "Host", "X-Forwarded-For", "x_forwarded_for", "Forwarded", "X-Real-IP", "Connection",
		"Trailer", "TE", "Upgrade", "Keep-Alive", "Cookie", "Set-Cookie", "Content-Type", "Content-Encoding", "Content-Range", "Cache-Control",
		"Max-Forwards", "Expect", "If-Match", "IF-none-match", "Range", "Pragma", "WWW-Authenticate", "Location", "Date", "Origin", "Realm",
		"Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "If-Range",
	} {
		fs, err := ParseTrailer(nil, []byte(name+": 1\r\n\r\n"))
		if err != nil || len(passed(fs)) != 0 {
			t.Errorf("%s is passed on, %v", name, err)
		}
	}
	for _, name := range []string{"Grpc-Status", "X-Checksum", "Digest", "Server-Timing", "ETag", "Iffy"} {
		fs, err := ParseTrailer(nil, []byte(name+": 1\r\n\r\n"))
		if err != nil || len(passed(fs)) != 1 {
			t.Errorf("%s is not passed on, %v", name, err)
		}
	}
}

func TestParseTrailer_RefusesWhatAHeadMayNotHave(t *testing.T) {
	for _, raw := range []string{
		"", "A: b", "A: b\r\n", "A: b\n\r\n", "A : b\r\n\r\n", "A: b\r\n c\r\n\r\n", ": b\r\n\r\n", "A\r\n\r\n", "A: \x00\r\n\r\n", " A: b\r\n\r\n",
		strings.Repeat("A: b\r\n", MaxFields+1) + "\r\n",
	} {
		if _, err := ParseTrailer(nil, []byte(raw)); err == nil {
			t.Errorf("%q was taken", raw)
		}
	}
	if fs, err := ParseTrailer(nil, []byte("\r\n")); len(fs) != 0 || err != nil {
		t.Errorf("an empty one: %v, %v", fs, err)
	}
}

func TestVersion_IsNamedAsLogsHaveIt(t *testing.T) {
	for v, want := range map[Version]string{HTTP10: "1.0", HTTP11: "1.1", HTTP2: "2"} {
		if got := v.String(); got != want {
			t.Errorf("%d: %q", v, got)
		}
	}
}
