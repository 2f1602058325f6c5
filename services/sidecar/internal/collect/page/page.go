// Package page reads the application's own Prometheus page, or several that make one: a model server's requests that run and
// wait, its cache, how long its answers and their first tokens took; or any web server's usual
// histogram. servers.go says under which names, and of which version of each server its page was seen;
// it is the place to add a server. Requests that no client made (probes.go) are left out.
//
// A page is read in three steps, none of which can lose more than one family: split.go keeps the lines
// that matter, each family by itself, without types and exemplars; parse.go has each family parsed
// (sample.go); reading.go looks up what the servers are known to show. What cannot be read,
// or says less than there is, is withheld with the reason, and never 0.
//
// What grows for ever is given as it stands: what it grew by is somebody else's business.
package page

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
)

// timeout bounds a look at the page: it is in the same pod.
const timeout = 2 * time.Second

// Page is one application's page.
type Page struct {
	urls   []string
	client *httpclient.Client
}

// New makes a page of what is at these addresses; nothing is read yet.
func New(urls ...string) *Page {
	return &Page{urls: urls, client: httpclient.New(httpclient.Options{
		MaxAnswer: maxPage + 1, // split says that a page is too long
		Timeout:   timeout, Connect: timeout, MaxIdle: 1, IdleTimeout: 30 * time.Second, NoRedirects: true,
	})}
}

// Read reads the page, all of it or nothing: of what is missing it would look as if it counted from 0.
func (p *Page) Read(ctx context.Context) (Reading, error) {
	f := newFamilies()
	for _, url := range p.urls {
		if err := p.get(ctx, url, f); err != nil {
			return Reading{}, err
		}
	}
	return read(parse(f)), nil
}

// get adds what is at an address.
func (p *Page) get(ctx context.Context, url string, f *families) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/plain;version=0.0.4, application/json;q=0.5")
	r.Header.Set("Accept-Encoding", "identity") // it does not leave the pod, whose CPU compressing would take
	r.Header.Set("User-Agent", "nemesis-sidecar")
	answer, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, answer.Status)
	}
	if media, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err == nil && media == "application/json" {
		return f.addModels(answer.Body)
	}
	return f.add(answer.Body)
}
