// Package page reads the application's own Prometheus page: a model server's requests that run and
// wait, its cache, how long its answers and their first tokens took; or any web server's usual
// histogram. servers.go says under which names, and of which version of each server its page was seen;
// it is the place to add a server. Requests that no client made (probes.go) are left out.
//
// A page is read in three steps, none of which can lose more than one family: split.go keeps the lines
// that matter, each family by itself, without types and exemplars; parse.go has each family parsed by
// Prometheus' own parser; reading.go looks up what the servers are known to show. What cannot be read,
// or says less than there is, is withheld with the reason, and never 0.
//
// What grows for ever is given as it stands: what it grew by is somebody else's business.
package page

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
)

// timeout bounds a look at the page: it is in the same pod.
const timeout = 2 * time.Second

// Page is one application's page.
type Page struct {
	url    string
	client *httpclient.Client
}

// New makes a page; nothing is read yet.
func New(url string) *Page {
	return &Page{url: url, client: httpclient.New(httpclient.Options{
		MaxAnswer: maxPage + 1, // split says that a page is too long
		Timeout:   timeout, Connect: timeout, MaxIdle: 1, IdleTimeout: 30 * time.Second, NoRedirects: true,
	})}
}

// Read reads the page.
func (p *Page) Read(ctx context.Context) (Reading, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return Reading{}, err
	}
	r.Header.Set("Accept", "text/plain;version=0.0.4")
	r.Header.Set("Accept-Encoding", "identity") // it does not leave the pod, whose CPU compressing would take
	r.Header.Set("User-Agent", "nemesis-sidecar")
	answer, err := p.client.Do(r)
	if err != nil {
		return Reading{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return Reading{}, fmt.Errorf("%s answered %s", p.url, answer.Status)
	}
	families, err := split(answer.Body)
	if err != nil {
		return Reading{}, err
	}
	return read(parse(families)), nil
}
