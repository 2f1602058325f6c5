package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// verdict is what becomes of an entry after an answer.
type verdict int

const (
	acknowledged verdict = iota
	duplicate            // it was there already: acknowledged too
	again                // to be sent again, as it is
	refused              // for what it is: it will never be taken
)

// noIndex is how the server refuses, with 400, a document for which it would have to begin an index and
// must not: the cluster holds as many shards as it may. The document is as good as any.
var noIndex = []byte(`"type":"validation_exception"`)

// itemVerdict judges what is said of one entry. What an administrator can mend (rights, a data stream
// that is not there, or can have no new index) is sent again until he has.
func itemVerdict(said item) (verdict, string) {
	switch status := said.Status; {
	case said.FailureStore == inFailureStore:
		return refused, "" // whatever the status says: it is not in the log
	case status >= 200 && status < 300:
		return acknowledged, ""
	case status == http.StatusConflict:
		return duplicate, ""
	case status == http.StatusTooManyRequests:
		return again, reasonBusy
	case status >= 500:
		return again, reasonServer
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return again, reasonRights
	case status == http.StatusNotFound:
		return again, reasonNoStream
	case status == http.StatusBadRequest && bytes.Contains(said.Error, noIndex):
		return again, reasonNoIndex
	case status >= 400:
		return refused, ""
	}
	return again, reasonAnswer
}

// requestVerdict says why a request must be sent again as a whole, by an answer that is not 200. A
// request that is not understood (400) speaks of the server or what stands before it, not of the entries: their actions
// were checked, and documents are judged one by one. To put them aside would lose everything.
func requestVerdict(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return reasonBusy
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return reasonRights
	case status == http.StatusNotFound:
		return reasonNoStream
	case status >= 500:
		return reasonServer
	}
	return reasonAnswer
}

// item is what is said of one entry.
type item struct {
	Status int             `json:"status"`
	Error  json.RawMessage `json:"error"`
	// What became of it where the data stream has a failure store: there a document that does not fit is
	// kept beside the log, and counts as made.
	FailureStore string `json:"failure_store"`
}

const inFailureStore = "used"

// why is what was said as a text.
func (i item) why() string {
	if i.FailureStore == inFailureStore {
		return why(i.Status, []byte("the server has put it into the data stream's failure store: it does not fit the mapping"))
	}
	return why(i.Status, i.Error)
}

// answer is what is asked of a bulk request: filter leaves out all else.
type answer struct {
	Errors *bool             `json:"errors"`
	Items  []map[string]item `json:"items"`
}

// filter is what an answer is cut down to; the statuses tell that none is missing.
const filter = "errors,items.*.status,items.*.error,items.*.failure_store"

var (
	noErrors  = []byte(`{"errors":false,`)
	oneStatus = []byte(`"status":`)
	asideMade = []byte(`"failure_store":"` + inFailureStore + `"`)
	errRow    = errors.New("what is to be shipped is not what was written")
	errAnswer = errors.New("the answer is not that of a bulk request")
)

// readAnswer reads what is said of n entries; nil when all were taken. An answer that is not whole,
// or is of another number of entries, says nothing of any.
func readAnswer(body []byte, n int) ([]item, error) {
	if bytes.HasPrefix(body, noErrors) && bytes.HasSuffix(body, []byte("]}")) && bytes.Count(body, oneStatus) == n && !bytes.Contains(body, asideMade) {
		return nil, nil
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if a.Errors == nil || len(a.Items) != n {
		return nil, fmt.Errorf("%w: it tells of %d entries of %d", errAnswer, len(a.Items), n)
	}
	items := make([]item, n)
	for i, one := range a.Items {
		said, ok := one["create"]
		if !ok || said.Status < 100 {
			return nil, fmt.Errorf("%w: entry %d has no status", errAnswer, i)
		}
		items[i] = said
	}
	return items, nil
}

// maxWhy bounds what is kept of why an entry was refused.
const maxWhy = 2048

// why is the error of an item or an answer as a text.
func why(status int, said []byte) string {
	var e struct {
		Type, Reason string
		Cause        *struct{ Type, Reason string } `json:"caused_by"`
	}
	text := string(said)
	if json.Unmarshal(said, &e) == nil && e.Type != "" {
		if text = e.Type + ": " + e.Reason; e.Cause != nil {
			text += ": " + e.Cause.Reason
		}
	}
	return fmt.Sprintf("%d %s", status, text[:min(len(text), maxWhy)])
}

// bulk is a request with a row of entries, packed or as they are. Its length is said before: a server
// that must refuse it for that takes nothing of it, while of one whose length comes later it may have
// taken a part.
type bulk struct {
	row    row
	packed []byte // nil: it is not
}

// Do sends it.
func (b bulk) Do(ctx context.Context, transport esapi.Transport) (*esapi.Response, error) {
	open := func() (io.ReadCloser, error) {
		if b.packed != nil {
			return io.NopCloser(bytes.NewReader(b.packed)), nil
		}
		return section{b.row.reader()}, nil
	}
	body, _ := open()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/_bulk?require_data_stream=true&filter_path="+url.QueryEscape(filter), body)
	if err != nil {
		return nil, err
	}
	r.GetBody, r.ContentLength = open, b.row.size
	r.Header.Set("Content-Type", "application/x-ndjson")
	if b.packed != nil {
		r.ContentLength = int64(len(b.packed))
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := transport.Perform(r) //nolint:bodyclose // ask closes it
	if err != nil {
		return nil, err
	}
	return &esapi.Response{StatusCode: answer.StatusCode, Header: answer.Header, Body: answer.Body}, nil
}
