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
	"strconv"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
)

// Options say where Elasticsearch is and who asks. Secrets come from files, which are read again
// when the server refuses what was in them.
type Options struct {
	URLs         []string
	Username     string
	PasswordFile string
	APIKeyFile   string // its "encoded" form; in place of a user
	CAFile       string // PEM; the system's authorities when ""
	Reads        bool   // the credentials come from the settings of who reads, which faults name
	// Patient is for who must go on without: a file that cannot be read is no fault of New, but of what is
	// asked, and is tried again each time.
	Patient bool
}

// setting is the name of the setting that a credential comes from.
func (o Options) setting(name string) string {
	if o.Reads {
		return "elasticsearch-read-" + name
	}
	return "elasticsearch-" + name
}

// Client speaks to one Elasticsearch. Any number of goroutines may use it at once.
type Client struct {
	options   Options
	transport *transport
	base      *elasticsearch.BaseClient
}

// New makes a client. It connects to nothing yet, but its files must be there, unless it is patient.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	transport, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	// Where one node does not answer the next one is asked at once. To wait and try again is the
	// business of who asks: it knows what a second time costs.
	base, err := elasticsearch.NewBaseClient(elasticsearch.Config{
		Addresses: o.URLs, Transport: transport,
		DisableRetry: len(o.URLs) == 1, MaxRetries: len(o.URLs) - 1, AutoDrainBody: true,
	})
	if err != nil {
		return nil, err
	}
	return &Client{options: o, transport: transport, base: base}, nil
}

// Ready reads the files that could not be read before; the error says which of them cannot be.
func (c *Client) Ready() error { return c.transport.ready() }

// Validate names every fault by the setting that it comes from.
func (o Options) Validate() error {
	return errors.Join(o.validateURLs(), o.validateCredentials())
}

func (o Options) validateURLs() error {
	var faults []error
	if len(o.URLs) == 0 {
		faults = append(faults, errors.New("elasticsearch-url: must name at least one node, such as https://elasticsearch:9200"))
	}
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !isPort(u.Port()) || u.ForceQuery || u.RawQuery != "" || u.Fragment != "":
			faults = append(faults, fmt.Errorf("elasticsearch-url: %q is not allowed: must be a URL such as https://elasticsearch:9200, without a query", withoutSecrets(text)))
		case u.User != nil:
			faults = append(faults, errors.New("elasticsearch-url: a user or password in it is not allowed: use elasticsearch-username and elasticsearch-password-file"))
		}
	}
	return errors.Join(faults...)
}

func (o Options) validateCredentials() error {
	user, password, key := o.setting("username"), o.setting("password-file"), o.setting("api-key-file")
	switch {
	case o.Username != "" && o.PasswordFile == "" && o.APIKeyFile == "":
		return fmt.Errorf("%s: %q is not allowed without %s", user, o.Username, password)
	case o.Username == "" && o.PasswordFile != "":
		return fmt.Errorf("%s: %q is not allowed without %s", password, o.PasswordFile, user)
	case o.Username != "" && o.APIKeyFile != "":
		return fmt.Errorf("%s: %q is not allowed beside %s: choose one", key, o.APIKeyFile, user)
	}
	return nil
}

// isPort tells whether a URL may have this port; "" is that of its scheme.
func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && port > 0
}

// withoutSecrets keeps what was written into a URL and may be secret out of messages.
func withoutSecrets(text string) string {
	if query := strings.IndexAny(text, "?#"); query >= 0 {
		text = text[:query+1] + "…"
	}
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
	body, err := httpclient.ReadAll(answer.Body, maxAnswer)
	return answer.StatusCode, body, err
}

// Await asks until the server answers anything at all, or ctx ends; the error says why it did not.
func (c *Client) Await(ctx context.Context) error {
	last := errors.New("it was not asked")
	for {
		_, _, err := c.ask(ctx, plain{method: http.MethodGet, path: "/"})
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		if !retry.Pause(ctx, time.Second) {
			return last
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
