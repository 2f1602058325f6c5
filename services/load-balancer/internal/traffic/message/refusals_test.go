package message

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// refused are requests that two programs could read in two ways, or that are none; and the part that
// the refusal names.
var refused = map[string]struct{ raw, part string }{
	"no target":                       {"GET HTTP/1.1\r\nHost: h\r\n\r\n", "request line"},
	"no version":                      {"GET /\r\nHost: h\r\n\r\n", "request line"},
	"one word":                        {"GET\r\n\r\n", "request line"},
	"an empty line alone":             {"\r\n", "request line"},
	"no method":                       {" / HTTP/1.1\r\n\r\n", "request line"},
	"two spaces before the target":    {head("GET  / HTTP/1.1"), "target"},
	"two spaces behind it":            {head("GET /  HTTP/1.1"), "target"},
	"a blank in the target":           {head("GET /a b HTTP/1.1"), "target"},
	"a tab in the target":             {head("GET /a\tb HTTP/1.1"), "target"},
	"a tab as separator":              {head("GET\t/ HTTP/1.1"), "request line"},
	"a NUL in the target":             {head("GET /\x00 HTTP/1.1"), "target"},
	"a DEL in the target":             {head("GET /\x7f HTTP/1.1"), "target"},
	"a CR in the target":              {head("GET /\ra HTTP/1.1"), "target"},
	"a fragment":                      {head("GET /#a HTTP/1.1"), "target"},
	"a method that is no token":       {head("G(T / HTTP/1.1"), "method"},
	"a method with a colon":           {head("GET: / HTTP/1.1"), "method"},
	"a relative target":               {head("GET a HTTP/1.1"), "target"},
	"a scheme that is not spoken":     {head("GET ftp://h/ HTTP/1.1"), "target"},
	"a scheme alone":                  {head("GET http: HTTP/1.1"), "target"},
	"no host in the target":           {head("GET http:///a HTTP/1.1"), "target"},
	"a port alone in the target":      {head("GET http://:80/a HTTP/1.1"), "target"},
	"a user in the target":            {head("GET http://u@h/ HTTP/1.1"), "target"},
	"a password in the target":        {head("GET http://u:p@h/ HTTP/1.1"), "target"},
	"a bracket that is left open":     {head("GET http://[::1/ HTTP/1.1"), "target"},
	"a port that is no number":        {head("GET http://h:a/ HTTP/1.1"), "target"},
	"* without OPTIONS":               {head("GET * HTTP/1.1"), "target"},
	"* with more":                     {head("OPTIONS *a HTTP/1.1"), "target"},
	"HTTP/0.9":                        {head("GET / HTTP/0.9"), "version"},
	"HTTP/2.0":                        {head("GET / HTTP/2.0"), "version"},
	"HTTP/1":                          {head("GET / HTTP/1"), "version"},
	"HTTP/1.":                         {head("GET / HTTP/1."), "version"},
	"HTTP/1.10":                       {head("GET / HTTP/1.10"), "version"},
	"HTTP/11.1":                       {head("GET / HTTP/11.1"), "version"},
	"HTTP/1,1":                        {head("GET / HTTP/1,1"), "version"},
	"http/1.1":                        {head("GET / http/1.1"), "version"},
	"a version with a tab":            {head("GET / HTTP/1.1\t"), "version"},
	"HTTP 1.1":                        {head("GET / HTTPS1.1"), "version"},
	"a bare LF behind the first line": {"GET / HTTP/1.1\nHost: h\r\n\r\n", "line end"},
	"a bare LF behind a field":        {"GET / HTTP/1.1\r\nHost: h\n\r\n", "line end"},
	"a bare LF at the end":            {"GET / HTTP/1.1\r\nHost: h\r\n\n", "line end"},
	"a bare LF within a value":        {"GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n", "line end"},
	"a bare CR within a value":        {head("GET / HTTP/1.1", "A: b\rc"), "field value"},
	"two CRs at the end":              {head("GET / HTTP/1.1", "A: b\r"), "field value"},
	"a NUL in a value":                {head("GET / HTTP/1.1", "A: b\x00"), "field value"},
	"a DEL in a value":                {head("GET / HTTP/1.1", "A: b\x7fcdefghi"), "field value"},
	"an escape in a long value":       {head("GET / HTTP/1.1", "A: aaaaaaaaaaaaaaaaaaaaaa\x1bb"), "field value"},
	"a vertical tab before a value":   {head("GET / HTTP/1.1", "A:\x0bb"), "field value"},
	"a line without a colon":          {head("GET / HTTP/1.1", "A"), "field line"},
	"a line without a name":           {head("GET / HTTP/1.1", ": b"), "field line"},
	"a space before the colon":        {head("GET / HTTP/1.1", "A : b"), "field name"},
	"a tab before the colon":          {head("GET / HTTP/1.1", "A\t: b"), "field name"},
	"a name with a NUL":               {head("GET / HTTP/1.1", "A\x00: b"), "field name"},
	"a name beyond ASCII":             {head("GET / HTTP/1.1", "x-\xe4: 1"), "field name"},
	"a name in brackets":              {head("GET / HTTP/1.1", "(A): b"), "field name"},
	"a folded line":                   {head("GET / HTTP/1.1", "A: b", " c"), "field line"},
	"a line folded with a tab":        {head("GET / HTTP/1.1", "A: b", "\tc"), "field line"},
	"a blank before the first field":  {"GET / HTTP/1.1\r\n Host: h\r\n\r\n", "field line"},
	"a line of blanks":                {"GET / HTTP/1.1\r\nHost: h\r\n \r\n\r\n", "field line"},
	"no host":                         {"GET / HTTP/1.1\r\n\r\n", "Host"},
	"two hosts":                       {head("GET / HTTP/1.1", "Host: i"), "Host"},
	"the same host twice":             {head("GET / HTTP/1.1", "Host: h"), "Host"},
	"two hosts in HTTP/1.0":           {head("GET / HTTP/1.0", "Host: h"), "Host"},
	"a host with a user":              {"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", "Host"},
	"a host with a path":              {"GET / HTTP/1.1\r\nHost: h/a\r\n\r\n", "Host"},
	"hosts in a list":                 {"GET / HTTP/1.1\r\nHost: h, i\r\n\r\n", "Host"},
	"a length with a sign":            {head("POST / HTTP/1.1", "Content-Length: +5"), "Content-Length"},
	"a negative length":               {head("POST / HTTP/1.1", "Content-Length: -5"), "Content-Length"},
	"an empty length":                 {head("POST / HTTP/1.1", "Content-Length:"), "Content-Length"},
	"a hexadecimal length":            {head("POST / HTTP/1.1", "Content-Length: 0x5"), "Content-Length"},
	"a length with a blank":           {head("POST / HTTP/1.1", "Content-Length: 5 0"), "Content-Length"},
	"lengths in a list":               {head("POST / HTTP/1.1", "Content-Length: 5, 5"), "Content-Length"},
	"a length that is too large":      {head("POST / HTTP/1.1", "Content-Length: 9223372036854775808"), "Content-Length"},
	"two lengths":                     {head("POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 6"), "Content-Length"},
	"the same length twice":           {head("POST / HTTP/1.1", "Content-Length: 5", "Content-Length: 5"), "Content-Length"},
	"a length and chunks":             {head("POST / HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked"), "Content-Length"},
	"chunks and a length":             {head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 5"), "Content-Length"},
	"chunks and no length":            {head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 0"), "Content-Length"},
	"chunks twice":                    {head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "Transfer-Encoding"},
	"chunks in a list":                {head("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"), "Transfer-Encoding"},
	"chunks that are not last":        {head("POST / HTTP/1.1", "Transfer-Encoding: chunked, identity"), "Transfer-Encoding"},
	"another coding":                  {head("POST / HTTP/1.1", "Transfer-Encoding: identity"), "Transfer-Encoding"},
	"an empty coding":                 {head("POST / HTTP/1.1", "Transfer-Encoding:"), "Transfer-Encoding"},
	"a coding with a parameter":       {head("POST / HTTP/1.1", "Transfer-Encoding: chunked;q=1"), "Transfer-Encoding"},
	"a coding in quotes":              {head("POST / HTTP/1.1", `Transfer-Encoding: "chunked"`), "Transfer-Encoding"},
	"a coding with a vertical tab":    {head("POST / HTTP/1.1", "Transfer-Encoding: \x0bchunked"), "field value"},
	"chunks in HTTP/1.0":              {head("POST / HTTP/1.0", "Transfer-Encoding: chunked"), "Transfer-Encoding"},
	"another expectation":             {head("POST / HTTP/1.1", "Expect: 200-ok", "Content-Length: 1"), "Expect"},
	"65 options":                      {head("GET / HTTP/1.1", "Connection: "+strings.Repeat("a,", 65)), "Connection"},
	"65 options in several fields":    {head("GET / HTTP/1.1", repeated("Connection: a, b, c, d, e", 13)...), "Connection"},
	"257 fields":                      {head("GET / HTTP/1.1", repeated("A: b", MaxFields)...), "head"},
}

func repeated(line string, n int) []string { return slices.Repeat([]string{line}, n) }

func TestParseRequest_RefusesWhatCouldBeReadInTwoWaysAndNamesThePart(t *testing.T) {
	for name, c := range refused {
		_, err := parse(c.raw)
		fault, ok := errors.AsType[*Error](err)
		if !ok || fault.Part != c.part {
			t.Errorf("%s: %v; want a fault of the %s", name, err, c.part)
			continue
		}
		if fault.Allowed == "" || fault.Error() != fault.Part+": "+fault.Allowed {
			t.Errorf("%s: %q does not say what is allowed", name, fault.Error())
		}
		if fault.Version != (name == "HTTP/0.9" || name == "HTTP/2.0") {
			t.Errorf("%s: a version that is not spoken is %v", name, fault.Version)
		}
	}
}

func TestParseRequest_TakesAsMuchAsItMay(t *testing.T) {
	for name, raw := range map[string]string{
		"256 fields":    head("GET / HTTP/1.1", repeated("A: b", MaxFields-1)...),
		"64 options":    head("GET / HTTP/1.1", "Connection: "+strings.Repeat("a,", 64)),
		"empty options": head("GET / HTTP/1.1", "Connection: "+strings.Repeat(",", 1000)+"close"),
	} {
		if _, err := parse(raw); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A caller that did not look for the head's end gets no more taken than one that did.
func TestParseRequest_RefusesBareLineFeedsByItself(t *testing.T) {
	for _, raw := range []string{
		"", "\n", "G", "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\n",
		"GET / HTTP/1.1\r\nHost: h\r\n", "GET / HTTP/1.1\r\nHost: h", "GET / HTTP/1.1\r\n",
	} {
		var r Request
		if err := r.ParseRequest([]byte(raw)); err == nil {
			t.Errorf("%q was taken", raw)
		}
	}
}

// Every byte in every place of a head: nothing panics, and what is taken has no control character.
func TestParseRequest_NoByteInNoPlacePanicsOrComesThrough(t *testing.T) {
	const whole = "POST http://h:1/a?b HTTP/1.1\r\nHost: h\r\nA-b: c d\r\nContent-Length: 12\r\nConnection: close\r\n\r\n"
	taken := 0
	for at := range len(whole) {
		for c := range 256 {
			raw := []byte(whole)
			raw[at] = byte(c)
			r, err := parse(string(raw))
			if err != nil {
				continue
			}
			taken++
			for _, text := range append([]string{r.Method, r.Target, r.Host, r.Path, r.Query}, valuesOf(r.Fields)...) {
				if hasControl([]byte(text)) {
					t.Errorf("byte %#x at %d came through in %q", c, at, text)
				}
			}
		}
	}
	if taken < len(whole) {
		t.Errorf("only %d were taken", taken)
	}
}

func valuesOf(fields Fields) (all []string) {
	for _, f := range fields {
		all = append(all, f.Name, f.Value)
	}
	return all
}

func TestParseRequest_EveryHeadThatIsCutIsIncomplete(t *testing.T) {
	whole := head("POST http://h:1/a?b HTTP/1.1", "Content-Length: 12", "A: b")
	for n := range len(whole) {
		var end HeadEnd
		if at, err := end.Find([]byte(whole[:n])); at != 0 || err != nil {
			t.Errorf("%d bytes: %d, %v", n, at, err)
		}
		var r Request
		if err := r.ParseRequest([]byte(whole[:n])); err == nil {
			t.Errorf("%d bytes were taken: %q", n, whole[:n])
		}
	}
}
