package message

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parseAnswer reads an answer as a client does: the end of its head first.
func parseAnswer(raw string, toHead bool) (*Response, error) {
	var r Response
	var end HeadEnd
	end.Lenient()
	n, err := end.Find([]byte(raw))
	if err == nil && n == 0 {
		err = errIncomplete
	}
	if err != nil {
		return &r, err
	}
	return &r, r.ParseResponse([]byte(raw[:n]), toHead)
}

// answer is an answer's head of these lines.
func answer(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

func TestParseResponse_TakesTheStatusLineApart(t *testing.T) {
	for line, want := range map[string]Response{
		"HTTP/1.1 200 OK":                    {Status: 200, Reason: "OK", Version: HTTP11},
		"HTTP/1.1 200":                       {Status: 200, Version: HTTP11},
		"HTTP/1.1 200 ":                      {Status: 200, Version: HTTP11},
		"HTTP/1.1  200  two spaces":          {Status: 200, Reason: " two spaces", Version: HTTP11},
		"HTTP/1.1 404 Not Found\t\xe4":       {Status: 404, Reason: "Not Found\t\xe4", Version: HTTP11},
		"HTTP/1.0 599 As far as it goes":     {Status: 599, Reason: "As far as it goes", Version: HTTP10},
		"HTTP/1.1 100 Continue":              {Status: 100, Reason: "Continue", Version: HTTP11},
		"HTTP/1.1 101 Switching Protocols":   {Status: 101, Reason: "Switching Protocols", Version: HTTP11},
		"HTTP/1.1 103 Early Hints, and more": {Status: 103, Reason: "Early Hints, and more", Version: HTTP11},
	} {
		got, err := parseAnswer(answer(line, "Content-Length: 0"), false)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		want.Fields, want.Close = Fields{{Name: "Content-Length", Value: "0", Known: ContentLength}}, want.Version == HTTP10
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
		if got.Informational() != (want.Status == 100 || want.Status == 103) {
			t.Errorf("%s: informational is %v", line, got.Informational())
		}
	}
}

func TestParseResponse_SaysWhereTheBodyEndsAndWhetherTheConnectionGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		raw     string
		toHead  bool
		length  int64
		chunked bool
		ends    bool
	}{
		"a length":                        {answer("HTTP/1.1 200 OK", "Content-Length: 5"), false, 5, false, false},
		"no length at all":                {answer("HTTP/1.1 200 OK"), false, -1, false, true},
		"no length, though kept":          {answer("HTTP/1.1 200 OK", "Connection: keep-alive"), false, -1, false, true},
		"chunks":                          {answer("HTTP/1.1 200 OK", "Transfer-Encoding: Chunked"), false, -1, true, false},
		"the same length twice":           {answer("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 5"), false, 5, false, false},
		"chunks beside a length":          {answer("HTTP/1.1 200 OK", "Content-Length: 5", "Transfer-Encoding: chunked"), false, -1, true, true},
		"chunks in HTTP/1.0":              {answer("HTTP/1.0 200 OK", "Connection: keep-alive", "Transfer-Encoding: chunked"), false, -1, true, true},
		"HTTP/1.0":                        {answer("HTTP/1.0 200 OK", "Content-Length: 5"), false, 5, false, true},
		"HTTP/1.0 that is kept":           {answer("HTTP/1.0 200 OK", "Content-Length: 5", "Connection: Keep-Alive"), false, 5, false, false},
		"close":                           {answer("HTTP/1.1 200 OK", "Content-Length: 5", "Connection: x, CLOSE"), false, 5, false, true},
		"to a HEAD, with a length":        {answer("HTTP/1.1 200 OK", "Content-Length: 5"), true, 0, false, false},
		"to a HEAD, with chunks":          {answer("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"), true, 0, false, false},
		"to a HEAD, without":              {answer("HTTP/1.1 200 OK"), true, 0, false, false},
		"204 with a length":               {answer("HTTP/1.1 204 No Content", "Content-Length: 5"), false, 0, false, false},
		"304 with a length":               {answer("HTTP/1.1 304 Not Modified", "Content-Length: 5"), false, 0, false, false},
		"304 with chunks":                 {answer("HTTP/1.1 304 Not Modified", "Transfer-Encoding: chunked"), false, 0, false, false},
		"101":                             {answer("HTTP/1.1 101 Switching Protocols", "Upgrade: x"), false, 0, false, false},
		"103":                             {answer("HTTP/1.1 103 Early Hints"), false, 0, false, false},
		"a length of nothing, and closed": {answer("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"), false, 0, false, true},
	} {
		r, err := parseAnswer(c.raw, c.toHead)
		if err != nil || r.Length != c.length || r.Chunked != c.chunked || r.Close != c.ends {
			t.Errorf("%s: length %d, chunked %v, closes %v, %v", name, r.Length, r.Chunked, r.Close, err)
		}
	}
}

func TestParseResponse_BearsWhatServersDo(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want Fields
	}{
		"line feeds alone":       {"HTTP/1.1 200 OK\nA: b\n\n", Fields{{Name: "A", Value: "b"}}},
		"both ends of lines":     {"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\n", Fields{{Name: "A", Value: "b"}, {Name: "C", Value: "d"}}},
		"a folded line":          {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\t d \r\n\r\n", Fields{{Name: "A", Value: "b c d"}}},
		"a value that is folded": {"HTTP/1.1 200 OK\r\nA:\r\n b\r\n\r\n", Fields{{Name: "A", Value: "b"}}},
		"an empty folded line":   {"HTTP/1.1 200 OK\r\nA: b\r\n \r\n\r\n", Fields{{Name: "A", Value: "b"}}},
		"nothing but folds":      {"HTTP/1.1 200 OK\r\nA:\r\n \r\n\t\r\n\r\n", Fields{{Name: "A"}}},
	} {
		r, err := parseAnswer(c.raw, false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(c.want, r.Fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseResponse_RefusesTheRestAndNamesThePart(t *testing.T) {
	for name, c := range map[string]struct{ raw, part string }{
		"a status of two digits":   {answer("HTTP/1.1 42 x"), "status line"},
		"000":                      {answer("HTTP/1.1 000 x"), "status line"},
		"099":                      {answer("HTTP/1.1 099 x"), "status line"},
		"600":                      {answer("HTTP/1.1 600 x"), "status line"},
		"+12":                      {answer("HTTP/1.1 +12 x"), "status line"},
		"-12":                      {answer("HTTP/1.1 -12 x"), "status line"},
		"2000":                     {answer("HTTP/1.1 2000 x"), "status line"},
		"a status with a letter":   {answer("HTTP/1.1 20x x"), "status line"},
		"a status behind a tab":    {answer("HTTP/1.1\t200 x"), "status line"},
		"no status":                {answer("HTTP/1.1"), "status line"},
		"HTTP/2":                   {answer("HTTP/2.0 200 OK"), "status line"},
		"HTTP/0.9":                 {answer("HTTP/0.9 200 OK"), "status line"},
		"ICY":                      {answer("ICY 200 OK"), "status line"},
		"an empty line":            {"\r\n\r\n", "status line"},
		"a control in the reason":  {answer("HTTP/1.1 200 O\x00K"), "status line"},
		"a CR in the reason":       {answer("HTTP/1.1 200 O\rK"), "status line"},
		"a fold before any field":  {answer("HTTP/1.1 200 OK", " a"), "field line"},
		"a control in a fold":      {answer("HTTP/1.1 200 OK", "A: b", " \x00"), "field value"},
		"a line without a colon":   {answer("HTTP/1.1 200 OK", "A"), "field line"},
		"a space before the colon": {answer("HTTP/1.1 200 OK", "A : b"), "field name"},
		"two lengths":              {answer("HTTP/1.1 200 OK", "Content-Length: 5", "Content-Length: 6"), "Content-Length"},
		"a length that is folded":  {answer("HTTP/1.1 200 OK", "Content-Length: 5", " 6"), "Content-Length"},
		"a negative length":        {answer("HTTP/1.1 200 OK", "Content-Length: -5"), "Content-Length"},
		"another coding":           {answer("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked"), "Transfer-Encoding"},
		"chunks twice":             {answer("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "Transfer-Encoding"},
		"too many fields":          {answer(append([]string{"HTTP/1.1 200 OK"}, repeated("A: b", MaxFields+1)...)...), "head"},
		"too many folds":           {answer(append([]string{"HTTP/1.1 200 OK", "A: b"}, repeated(" c", MaxFields)...)...), "head"},
		"too many options":         {answer("HTTP/1.1 200 OK", "Connection: "+strings.Repeat("a,", 65)), "Connection"},
	} {
		_, err := parseAnswer(c.raw, false)
		if fault, ok := errors.AsType[*Error](err); !ok || fault.Part != c.part || fault.Allowed == "" {
			t.Errorf("%s: %v; want a fault of the %s", name, err, c.part)
		}
	}
	for _, raw := range []string{"", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 200 OK\r\nA: b"} {
		var r Response
		if err := r.ParseResponse([]byte(raw), false); !errors.Is(err, errIncomplete) {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestParseResponse_KnowsHowLongTheServerKeepsTheConnection(t *testing.T) {
	for value, want := range map[string]int{
		"": 0, "timeout=5": 5, "timeout=5, max=100": 5, "max=100, Timeout = 7": 7, "timeout=": 0, "timeout": 0, "max=3": 0,
		"timeout=-1": 0, "timeout=1.5": 0, "timeout=86400": maxKeepIdle, "timeout=99999999999999999999": 0, "xtimeout=5": 0,
	} {
		r, err := parseAnswer(answer("HTTP/1.1 200 OK", "Keep-Alive: "+value), false)
		if err != nil || r.KeepIdle != want {
			t.Errorf("%q: %d, %v", value, r.KeepIdle, err)
		}
	}
}

func TestParseResponse_NamesTheProtocolThatIsChangedTo(t *testing.T) {
	r, err := parseAnswer(answer("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "upgrade: WebSocket"), false)
	if err != nil || r.Upgrade != "WebSocket" || r.Informational() {
		t.Errorf("%q, informational %v, %v", r.Upgrade, r.Informational(), err)
	}
}

func TestReset_LeavesNothingOfTheLastAnswer(t *testing.T) {
	r, err := parseAnswer(answer("HTTP/1.0 200 OK", "Keep-Alive: timeout=5", "Upgrade: x", "Transfer-Encoding: chunked"), false)
	if err != nil {
		t.Fatal(err)
	}
	all := r.Fields
	r.Reset()
	for i := range all {
		if all[i] != (Field{}) {
			t.Errorf("%v is held", all[i])
		}
	}
	if err := r.ParseResponse([]byte(answer("HTTP/1.1 204 No Content")), false); err != nil {
		t.Fatal(err)
	}
	fresh, _ := parseAnswer(answer("HTTP/1.1 204 No Content"), false)
	fresh.Fields = Fields{}
	if diff := cmp.Diff(fresh, r); diff != "" {
		t.Errorf("(-fresh +after a reset):\n%s", diff)
	}
}
