package elastic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// requestVerdict judges an answer to the request as a whole that is not 200: either the request is
// too large and is to be cut into two (halve), or all of it is sent again. A request that is not
// understood (400) speaks of the server or what stands before it, not of the entries: their actions
// were checked, and documents are judged one by one. To put them aside would lose everything.
func requestVerdict(status int) (halve bool, reason string) {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return true, ""
	case status == http.StatusTooManyRequests:
		return false, reasonBusy
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return false, reasonRights
	case status == http.StatusNotFound:
		return false, reasonNoStream
	case status >= 500:
		return false, reasonServer
	}
	return false, reasonAnswer
}

// item is what is said of one entry.
type item struct {
	Status int             `json:"status"`
	Error  json.RawMessage `json:"error"`
}

// answer is what is asked of a bulk request: filter leaves out all else.
type answer struct {
	Errors *bool             `json:"errors"`
	Items  []map[string]item `json:"items"`
}

// filter is what an answer is cut down to; the statuses tell that none is missing.
var filter = []string{"errors", "items.*.status", "items.*.error"}

var (
	noErrors  = []byte(`{"errors":false,`)
	oneStatus = []byte(`"status":`)
	errAnswer = errors.New("the answer is not that of a bulk request")
)

// readAnswer reads what is said of n entries; nil when all were taken. An answer that is not whole,
// or is of another number of entries, says nothing of any.
func readAnswer(body []byte, n int) ([]item, error) {
	if bytes.HasPrefix(body, noErrors) && bytes.HasSuffix(body, []byte("]}")) && bytes.Count(body, oneStatus) == n {
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
