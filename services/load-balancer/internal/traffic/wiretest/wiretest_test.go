package wiretest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRequests_HaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Requests() {
		if seen[r.Name] {
			t.Errorf("two are called %q", r.Name)
		}
		seen[r.Name] = true
		if r.Raw == "" || r.Fault == None && (r.May || r.Open || len(r.Statuses) > 0) {
			t.Errorf("%q is both good and refused, or has no bytes", r.Name)
		}
	}
}

// What is called good here, another implementation takes too, and reads it so. (The reverse does not
// hold: here is refused what it forgives.)
func TestRequests_GoodOnesAreReadAlikeByNetHTTP(t *testing.T) {
	for _, r := range Requests() {
		if r.Fault != None || strings.HasPrefix(r.Raw, "\r\n") {
			continue // net/http takes no empty line before a request
		}
		if err := agrees(r); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
}

func agrees(r Request) error {
	in := bufio.NewReader(strings.NewReader(r.Raw + "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"))
	got, err := http.ReadRequest(in)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	if method, _, _ := strings.Cut(r.At(), " "); got.Method != method || string(body) != r.Body {
		return fmt.Errorf("it is read as %s %q", got.Method, body)
	}
	if next, err := http.ReadRequest(in); err != nil || next.URL.Path != "/next" {
		return fmt.Errorf("what stands behind is read otherwise: %w", err)
	}
	return nil
}

// Those with a fault in the chunks or the trailer have a good head, and those with one in the path
// are good messages; of those that are refused in the head, none is empty of a fault for everyone.
func TestRequests_FaultsAreWhereTheySay(t *testing.T) {
	for _, r := range Requests() {
		end := bytes.Index([]byte(r.Raw), []byte("\r\n\r\n"))
		switch r.Fault {
		case Body:
			if end < 0 || !strings.Contains(r.Raw[:end], "chunked") {
				t.Errorf("%q has no chunks", r.Name)
			}
		case Path:
			if end != len(r.Raw)-len("\r\n\r\n") {
				t.Errorf("%q has more than a head", r.Name)
			}
		case None, Head:
		}
	}
}
