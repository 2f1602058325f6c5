// Package bearer has a service say who it is: its projected token goes with every exchange, read anew as
// the kubelet writes the next one, and a refusal of the other side is kept for those who look (log,
// readiness, metrics). It judges no token, and needs nothing that does: the sidecar stays small.
package bearer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/retry"
)

// DefaultFile is where the manifests have the kubelet write the token, for the audience nemesis.
const DefaultFile = "/var/run/secrets/nemesis/token"

// The headers that a token comes in. Priority wins: the API server's service proxy takes the other one away.
const (
	Header   = "Authorization"
	Priority = "Nemesis-Authorization"
)

const (
	readEvery = 10 * time.Second // the kubelet writes a new one long before the old one ends
	readSoon  = time.Second      // after a 401: perhaps there is a newer one
	maxToken  = 8 << 10          // bytes
	maxDetail = 512              // bytes of a refusal that are kept
	maxBody   = 8 << 10          // bytes of it that are looked at

	maxRefused = 16 // operations of which a refusal is kept; no service asks for so many
)

// Backoff is how those who ask in a loop wait after a refusal: what is missing is somebody's to give, and
// an API server that judges each try must not be asked all the time.
var Backoff = retry.Backoff{First: time.Second, Most: 15 * time.Second}

// Options say where the token is, and who hears of it.
type Options struct {
	File string // "": no token is sent
	Log  *slog.Logger
}

// Token is a service's own. Any number of goroutines may use it at once.
type Token struct {
	o Options

	mu     sync.Mutex
	text   string
	read   time.Time // when it was last looked for
	stale  bool      // the other side did not take it: look again soon
	failed string    // why there is none; said once for each reason

	unauthorized, forbidden int64
	refused                 map[operation]refusal // by operation, until it is taken again
}

// refusal is the last one of an operation.
type refusal struct {
	text  string
	since time.Time
}

// New makes it. Nothing is read yet.
func New(o Options) *Token {
	return &Token{o: o, refused: map[operation]refusal{}}
}

// Text is the token as it is now; "" is none.
func (t *Token) Text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.o.File == "" {
		return ""
	}
	now := time.Now()
	if age := now.Sub(t.read); !t.read.IsZero() && age < readEvery && (!t.stale || age < readSoon) {
		return t.text
	}
	t.read, t.stale = now, false
	text, err := read(t.o.File)
	if err != nil {
		t.missing(err)
		return t.text // one that was there is sent to its end
	}
	if t.failed != "" {
		t.o.Log.Info("the token of this service is there", "file", t.o.File)
	}
	t.text, t.failed = text, ""
	return text
}

// missing says once why there is no token, or no newer one.
func (t *Token) missing(err error) {
	if t.failed == err.Error() {
		return
	}
	t.failed = err.Error()
	t.o.Log.Warn("token-file: no token is sent, or an old one; others answer only where their setting authentication is optional",
		"file", t.o.File, "error", err)
}

func read(file string) (string, error) {
	f, err := os.Open(file) //nolint:gosec // G304: the operator names the file
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no file %s: mount a projected service-account token for the audience nemesis", file)
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case len(raw) > maxToken:
		return "", fmt.Errorf("%s has more than %d bytes: it is no token", file, maxToken)
	case text == "":
		return "", fmt.Errorf("%s is empty", file)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", fmt.Errorf("%s holds something else than one token", file)
	}
	return text, nil
}

// To puts the token on every exchange with somebody, who is named as people know him, but those that carry
// one already (of a caller whose request is passed on) and those that a redirect leads elsewhere.
func (t *Token) To(peer string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper { return transport{t, peer, next} }
}

// Instead has exchanges of the context carry this token in place of the service's own: that of a caller whose
// request is passed on, for nobody is lent the rights of a service. "" sends none.
func Instead(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, instead{}, token)
}

type instead struct{}

type transport struct {
	token *Token
	peer  string
	next  http.RoundTripper
}

// RoundTrip sends the token along, and notes a refusal.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Response != nil || r.Header.Get(Header) != "" || r.Header.Get(Priority) != "" {
		return t.next.RoundTrip(r)
	}
	if theirs, ok := r.Context().Value(instead{}).(string); ok {
		return t.next.RoundTrip(with(r, theirs))
	}
	text := t.token.Text()
	r = with(r, text)
	answer, err := t.next.RoundTrip(r)
	if err == nil {
		t.token.answered(operation{t.peer, methodAndPath(r)}, answer, text != "")
	}
	return answer, err
}

// with is the request with a token, if there is one.
func with(r *http.Request, token string) *http.Request {
	if token == "" {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Set(Header, "Bearer "+token)
	return r
}

// operation is what is asked, and whom: one line is said of each.
type operation struct{ peer, what string }

// methodAndPath are those of a request, without the names in the path.
func methodAndPath(r *http.Request) string {
	const segments = 4 // of "/v1/namespaces/…" the first three are before, at and behind the slashes
	parts := strings.SplitN(r.URL.Path, "/", segments)
	return r.Method + " " + strings.Join(parts[:min(len(parts), segments-1)], "/")
}

// answered notes what the other side thinks of us. Its own faults say nothing of that.
func (t *Token) answered(o operation, answer *http.Response, sent bool) {
	switch status := answer.StatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		t.refuse(o, status, detail(answer), sent)
	case status < http.StatusInternalServerError: // it answers us, whatever
		t.taken(o)
	}
}

func (t *Token) taken(o operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r, ok := t.refused[o]; ok {
		t.o.Log.Info(o.peer+" lets this service again", "operation", o.what, "after", time.Since(r.since).Round(time.Second).String())
		delete(t.refused, o)
	}
}

func (t *Token) refuse(o operation, status int, detail string, sent bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if status == http.StatusUnauthorized {
		t.unauthorized++
		t.stale = true
	} else {
		t.forbidden++
	}
	how := "with the token of " + t.o.File
	if !sent {
		how = "without a token"
	}
	text := fmt.Sprintf("%s refuses this service, which asks for %s %s: %d, %s", o.peer, o.what, how, status, detail)
	before, known := t.refused[o]
	if !known && len(t.refused) == maxRefused {
		return
	}
	if !known {
		before.since = time.Now()
	}
	if before.text != text {
		t.o.Log.Error(text)
	}
	t.refused[o] = refusal{text, before.since}
}

// detail is why, in the other side's words; the body can be read as before.
func detail(answer *http.Response) string {
	start, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	rest := io.Reader(answer.Body)
	if err != nil {
		rest = failing{err}
	}
	answer.Body = body{io.MultiReader(bytes.NewReader(start), rest), answer.Body}
	problem, ok := fault.Read(answer.StatusCode, start)
	text := problem.Summary()
	if !ok || text == "" {
		return "it does not say why"
	}
	return strings.ToValidUTF8(text[:min(len(text), maxDetail)], "")
}

type body struct {
	io.Reader
	io.Closer
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// State is how it stands.
type State struct {
	Sent                    bool // there is a token
	Unauthorized, Forbidden int64
}

// State is how it stands now.
func (t *Token) State() State {
	text := t.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	return State{Sent: text != "", Unauthorized: t.unauthorized, Forbidden: t.forbidden}
}

// Trouble is what people should look at, for the readiness' detail.
func (t *Token) Trouble() []string {
	t.Text()
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	if t.failed != "" {
		all = append(all, "token-file: "+t.failed)
	}
	refused := make([]string, 0, len(t.refused))
	for _, r := range t.refused {
		refused = append(refused, r.text)
	}
	slices.Sort(refused)
	return append(all, refused...)
}
