// Package elastic speaks to Elasticsearch: it ships what the spool holds, searches what was shipped,
// and sets up what must be there before (templates, data streams, roles, keys). It is the only one
// that knows go-elasticsearch, of which it takes the low-level requests alone; the balancer's other
// parts see entries, queries and pages.
//
// The client is that of version 8, which speaks to servers of 8 and 9 alike; what the tests were run
// against stands in deployments/elasticsearch. That the server is an Elasticsearch, and none of its
// forks, is checked by the client with its first answer.
package elastic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"
)

// Options say where Elasticsearch is and who asks. Secrets come from files, which are read again
// when the server refuses what was in them.
type Options struct {
	URLs         []string
	Username     string
	PasswordFile string
	APIKeyFile   string // its "encoded" form; in place of a user
	CAFile       string // PEM; the system's authorities when ""
}

// Client speaks to one Elasticsearch. Any number of goroutines may use it at once.
type Client struct {
	options Options
	base    *elasticsearch.BaseClient
}

// New makes a client. It connects to nothing yet, but its files must be there.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	door, err := newDoor(o)
	if err != nil {
		return nil, err
	}
	// Where one node does not answer the next one is asked at once. To wait and try again is the
	// business of who asks: it knows what a second time costs.
	base, err := elasticsearch.NewBaseClient(elasticsearch.Config{
		Addresses: o.URLs, Transport: door,
		DisableRetry: len(o.URLs) == 1, MaxRetries: len(o.URLs) - 1, AutoDrainBody: true,
	})
	if err != nil {
		return nil, err
	}
	return &Client{options: o, base: base}, nil
}

// Validate names every fault by the setting that it comes from.
func (o Options) Validate() error {
	var faults []error
	if len(o.URLs) == 0 {
		faults = append(faults, errors.New("elasticsearch-url: must name at least one node, such as https://elasticsearch:9200"))
	}
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
			faults = append(faults, fmt.Errorf("elasticsearch-url: %q is not allowed: must be a URL such as https://elasticsearch:9200", withoutUser(text)))
		case u.User != nil:
			faults = append(faults, errors.New("elasticsearch-url: a user or password in it is not allowed: use elasticsearch-username and elasticsearch-password-file"))
		}
	}
	if o.Username == "" != (o.PasswordFile == "") {
		faults = append(faults, errors.New("elasticsearch-username and elasticsearch-password-file: must be given both or neither"))
	}
	if o.Username != "" && o.APIKeyFile != "" {
		faults = append(faults, errors.New("elasticsearch-api-key-file: is not allowed beside elasticsearch-username: choose one"))
	}
	return errors.Join(faults...)
}

// withoutUser keeps a secret that was written into a URL out of messages.
func withoutUser(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return "…" + text[at:]
	}
	return text
}

// maxAnswer bounds what is read of one answer. The largest are pages of a search: 1000 documents of
// a few KiB.
const maxAnswer = 64 << 20

// ask sends a request and reads the whole answer. An error is only that there was none.
func (c *Client) ask(ctx context.Context, r esapi.Request) (int, []byte, error) {
	answer, err := r.Do(ctx, c.base)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errors.New("the answer is too large")
	}
	return answer.StatusCode, body, err
}

// Await asks until the server answers anything at all, or ctx ends; the error says why it did not.
func (c *Client) Await(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := errors.New("it was not asked")
	for {
		_, _, err := c.ask(ctx, plain{method: http.MethodGet, path: "/"})
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
	}
}

// plain is a request that esapi has no function for, or one that must not say more than its path.
type plain struct {
	method, path string
	body         string
}

// Do sends it.
func (p plain) Do(ctx context.Context, transport esapi.Transport) (*esapi.Response, error) {
	var body io.Reader = http.NoBody
	if p.body != "" {
		body = strings.NewReader(p.body)
	}
	r, err := http.NewRequestWithContext(ctx, p.method, p.path, body)
	if err != nil {
		return nil, err
	}
	if p.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := transport.Perform(r) //nolint:bodyclose // ask closes it
	if err != nil {
		return nil, err
	}
	return &esapi.Response{StatusCode: answer.StatusCode, Header: answer.Header, Body: answer.Body}, nil
}
