package elastic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
)

// How long a search may take: the server is told the first, and not waited for longer than the
// second. When to try again is said where the fault may pass.
const (
	searchTimeout = 8 * time.Second
	answerTimeout = 10 * time.Second
	searchRetry   = 5 * time.Second
)

// searches is how many may go on at once: each holds a page in memory, beside requests.
const searches = 4

// Search finds the requests that were shipped, by all load balancers of a namespace.
type Search struct {
	client    *Client
	stream    string
	searching chan struct{}
}

// NewSearch makes one.
func NewSearch(c *Client, namespace string) *Search {
	return &Search{client: c, stream: Stream(AccessDataset, namespace), searching: make(chan struct{}, searches)}
}

type object = map[string]any

// Find finds records, the one that arrived last first. What was written in the last seconds may not
// be there yet. An error is accesslog.ErrCursor or a *fault.Error; never is a part of what there is
// passed off as the whole.
func (s *Search) Find(ctx context.Context, q accesslog.Query) (accesslog.Page, error) {
	body, err := searchBody(q)
	if err != nil {
		return accesslog.Page{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	select {
	case s.searching <- struct{}{}:
		defer func() { <-s.searching }()
	case <-ctx.Done():
		return accesslog.Page{}, fault.New(fault.Unavailable, "too many searches of the log are going on").After(searchRetry).Because(ctx.Err())
	}
	yes, no := true, false
	status, answer, err := s.client.ask(ctx, esapi.SearchRequest{
		Index: []string{s.stream}, Body: strings.NewReader(body),
		IgnoreUnavailable: &yes, AllowNoIndices: &yes, AllowPartialSearchResults: &no,
	})
	if err != nil {
		return accesslog.Page{}, fault.New(fault.Unavailable, "Elasticsearch, which keeps the log, does not answer").After(searchRetry).Because(err)
	}
	if status != http.StatusOK {
		return accesslog.Page{}, searchFault(status, answer)
	}
	return readPage(answer, q.Limit)
}

// searchBody is the search for a query: one more than is wanted, which tells whether there is more.
func searchBody(q accesslog.Query) (string, error) {
	body := object{
		"size": q.Limit + 1, "track_total_hits": false, "timeout": searchTimeout.String(),
		"query": object{"bool": object{"filter": filters(q)}},
		// No two have the same id, so that the order is whole, and the same at each page.
		"sort": []any{
			object{"@timestamp": object{"order": "desc", "unmapped_type": "date"}},
			object{"event.id": object{"order": "desc", "unmapped_type": "keyword"}},
		},
	}
	if q.After != "" {
		at, id, ok := parseCursor(q.After)
		if !ok {
			return "", accesslog.ErrCursor
		}
		body["search_after"] = []any{at, id}
	}
	text, err := json.Marshal(body)
	return string(text), err
}

// filters say what a query wants; a caching server can use each by itself.
func filters(q accesslog.Query) []any {
	all := []any{object{"term": object{"event.dataset": accesslog.Dataset}}}
	is := func(field string, value any) { all = append(all, object{"term": object{field: value}}) }
	between := func(field string, bounds object) { all = append(all, object{"range": object{field: bounds}}) }
	// @timestamp has milliseconds, to which a bound is cut too, whichever way loses or repeats: it only
	// says which shards are worth a look. event.start has nanoseconds.
	near, times := object{}, object{}
	if !q.Since.IsZero() {
		near["gte"] = q.Since.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
		times["gte"] = q.Since.UTC().Format(time.RFC3339Nano)
	}
	if !q.Until.IsZero() {
		near["lte"] = q.Until.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
		times["lt"] = q.Until.UTC().Format(time.RFC3339Nano)
	}
	if len(times) > 0 {
		between("@timestamp", near)
		between("event.start", times)
	}
	if q.Namespace != "" {
		is("kubernetes.namespace", q.Namespace)
	}
	if q.Among != nil {
		all = append(all, object{"terms": object{"kubernetes.namespace": q.Among}})
	}
	if q.Deployment != "" {
		is("kubernetes.deployment.name", q.Deployment)
	}
	switch {
	case q.Status >= 100:
		is("http.response.status_code", q.Status)
	case q.Status > 0:
		between("http.response.status_code", object{"gte": q.Status * 100, "lt": q.Status*100 + 100})
	}
	if q.Client.IsValid() {
		is("client.ip", q.Client.Unmap().WithZone("").String())
	}
	if q.Method != "" {
		is("http.request.method", q.Method)
	}
	if q.Text != "" {
		pattern := "*" + literal.Replace(q.Text) + "*"
		has := func(field string) any { return object{"wildcard": object{field: object{"value": pattern}}} }
		all = append(all, object{"bool": object{"should": []any{has("url.path"), has("nemesis.target")}}})
	}
	return all
}

// literal takes the meaning from what a wildcard query knows.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func readPage(body []byte, limit int) (accesslog.Page, error) {
	var found struct {
		TimedOut bool                 `json:"timed_out"`
		Shards   struct{ Failed int } `json:"_shards"`
		Hits     struct {
			Hits []struct {
				Source json.RawMessage `json:"_source"`
				Sort   [2]any          `json:"sort"`
			}
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // a time in milliseconds is no float
	if err := decoder.Decode(&found); err != nil {
		return accesslog.Page{}, fault.New(fault.Unavailable, "Elasticsearch's answer cannot be read").After(searchRetry).Because(err)
	}
	if found.TimedOut || found.Shards.Failed > 0 {
		return accesslog.Page{}, fault.New(fault.Unavailable,
			"Elasticsearch did not search all of the log in time: ask for less, for example by since and until, or again later").After(searchRetry)
	}
	var page accesslog.Page
	for i, hit := range found.Hits.Hits {
		if i == limit {
			last := found.Hits.Hits[i-1].Sort
			page.Next = cursor(last[0], last[1])
			break
		}
		entry, err := accesslog.Decode(hit.Source)
		if err != nil {
			continue // of another hand; the records beside it are worth more
		}
		page.Entries = append(page.Entries, entry)
	}
	return page, nil
}

// A cursor is where a page ended: the time, in milliseconds to the base 36, and the id.
var (
	cursorForm = regexp.MustCompile(`^t(-?[0-9a-z]{1,13})_([0-9a-zA-Z_.-]{1,96})$`)
	cursorBase = 36
)

// cursor is "" where the next page cannot be named: an id of another hand.
func cursor(at, id any) string {
	number, _ := at.(json.Number)
	millis, err := number.Int64()
	text, _ := id.(string)
	c := "t" + strconv.FormatInt(millis, cursorBase) + "_" + text
	if err != nil || !cursorForm.MatchString(c) {
		return ""
	}
	return c
}

func parseCursor(c string) (at int64, id string, ok bool) {
	match := cursorForm.FindStringSubmatch(c)
	if match == nil {
		return 0, "", false
	}
	at, err := strconv.ParseInt(match[1], cursorBase, 64)
	return at, match[2], err == nil && strconv.FormatInt(at, cursorBase) == match[1]
}

// searchFault says what the server's refusal means for who asked.
func searchFault(status int, body []byte) error {
	said := fmt.Errorf("elasticsearch: %s", words(status, body))
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fault.New(fault.Unavailable,
			"Elasticsearch, which keeps the log, does not let this load balancer read it: its user or key needs the privilege read on %s", Streams).Because(said)
	case status == http.StatusTooManyRequests:
		return fault.New(fault.Unavailable, "Elasticsearch, which keeps the log, is too busy to search it").After(searchRetry).Because(said)
	case status < http.StatusInternalServerError:
		return fault.New(fault.Internal, "").Because(said)
	}
	return fault.New(fault.Unavailable, "Elasticsearch, which keeps the log, cannot search it now").After(searchRetry).Because(said)
}
