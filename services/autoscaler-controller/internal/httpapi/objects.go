package httpapi

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// passed are the query parameters that the API server gets to see, and watching those of a watch besides.
// `watch` is not among the first: that is another kind of answer.
var passed = []string{
	"labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch",
	"dryRun", "fieldManager", "propagationPolicy", "gracePeriodSeconds",
}

var watching = []string{
	"watch", "labelSelector", "fieldSelector", "resourceVersion", "resourceVersionMatch",
	"timeoutSeconds", "allowWatchBookmarks", "sendInitialEvents",
}

// pass passes a call on a custom resource to the Kubernetes API server, with the caller's own
// token, and its answer back: a good one as it is, a refusal as a problem document with the same
// status code.
func (a *api) pass(w http.ResponseWriter, r *http.Request) {
	out, err := onward(r, passed)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodDelete {
		query := out.URL.Query()
		query.Set("fieldValidation", "Strict") // an unknown field is a mistake, not a wish
		out.URL.RawQuery = query.Encode()
	}
	noted, err := a.noted(r, out)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	var was *customResource
	if noted {
		was = a.before(r, out)
	}
	answer, err := a.Objects.Do(out)
	if err != nil {
		if tooLarge := contract.Refusal(err, 0); tooLarge.Code == fault.TooLarge {
			err = tooLarge
		}
		if noted {
			a.changedObject(r, was, nil, 0, err)
		}
		a.refuse(w, r, err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := read(answer)
	if noted {
		a.changedObject(r, was, body, answer.StatusCode, err)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(body) //nolint:gosec // G705: JSON of the API server; and when the client has gone there is nothing to do
}

// onward is the same call with those of its parameters that the API server gets to see.
func onward(r *http.Request, parameters []string) (*http.Request, error) {
	token, _, err := guard.Token(r.Header)
	if err != nil {
		return nil, err
	}
	if token == "" && r.Header.Get("Authorization") != "" {
		return nil, fault.New(fault.Unauthenticated, "").With("Authorization", "", "Bearer TOKEN, with a Kubernetes token")
	}
	query, asked := url.Values{}, r.URL.Query()
	for _, name := range parameters {
		if v, ok := asked[name]; ok {
			query[name] = v
		}
	}
	out := r.Clone(r.Context())
	if token != "" {
		out.Header.Set("Authorization", "Bearer "+token)
	}
	out.URL.RawQuery = query.Encode()
	return out, nil
}

// read is the body of a good answer; a refusal is the error.
func read(answer *http.Response) ([]byte, error) {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the Kubernetes API server broke off its answer").Because(err).After(time.Second)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return nil, refusal(answer.StatusCode, body)
	}
	return body, nil
}

// kubernetesStatus is the part of metav1.Status that is told on.
type kubernetesStatus struct {
	Message string `json:"message"`
	Details struct {
		RetryAfterSeconds int `json:"retryAfterSeconds"`
		Causes            []struct {
			Message string `json:"message"`
			Field   string `json:"field"`
		} `json:"causes"`
	} `json:"details"`
}

// refusal says the API server's refusal as a problem document of the same status code.
func refusal(status int, body []byte) *fault.Error {
	e := &fault.Error{Code: fault.FromStatus(status)}
	var s kubernetesStatus
	if err := json.Unmarshal(body, &s); err != nil || s.Message == "" {
		e.Detail = "the Kubernetes API server refuses: " + http.StatusText(status)
		return e
	}
	// Of a patch Kubernetes shows the whole object before it says what is wrong.
	strict := strictDecoding.FindString(s.Message)
	e.Detail = cmp.Or(strict, s.Message)
	e.RetryAfter = time.Duration(s.Details.RetryAfterSeconds) * time.Second
	for _, c := range s.Details.Causes {
		if c.Field == noField || strict != "" && c.Field == "patch" {
			continue
		}
		value, allowed := cause(c.Field, c.Message)
		e.With(c.Field, value, allowed)
	}
	if found := unselectable.FindStringSubmatch(s.Message); found != nil {
		e.With("fieldSelector", found[1], "one of the fields "+strings.Join(objectFields, ", "))
	}
	for _, found := range misfit.FindAllStringSubmatch(strict, -1) {
		allowed := "no field of this name"
		if found[1] == "duplicate" {
			allowed = "given once"
		}
		e.With(found[2], "", allowed)
	}
	return e
}

// noField is what Kubernetes calls the field of a cause that is none: that rules were left out for
// the sake of the faults beside it.
const noField = "<nil>"

var (
	// As Kubernetes writes causes: `Invalid value: -5: spec.idleTime in body should be …`, also
	// with the value in quotes, and `Unsupported value: "x": supported values: "a", "b"`.
	causeText = regexp.MustCompile(`^(?:Invalid|Unsupported|Duplicate) value(?:: ("(?:[^"\\]|\\.)*"|[^:]*))?: (.+)$`)
	inBody    = regexp.MustCompile(`^\S+ in body `)
	// What fieldValidation=Strict refuses: `strict decoding error: unknown field "spec.x", duplicate field "spec.y"`.
	strictDecoding = regexp.MustCompile(`strict decoding error: .*`)
	misfit         = regexp.MustCompile(`(unknown|duplicate) field "([^"]+)"`)
	// What is no field to select by: `field label not supported: spec.x`.
	unselectable = regexp.MustCompile(`field label not supported: (\S+)`)
)

// cause takes the value and what is allowed out of Kubernetes' text for a field at fault.
func cause(field, text string) (value, allowed string) {
	found := causeText.FindStringSubmatch(text)
	if found == nil {
		if text == "" {
			return "", "another value"
		}
		return "", text
	}
	value, allowed = strings.Trim(found[1], `"`), inBody.ReplaceAllString(found[2], "")
	// Of a whole object Kubernetes names only the kind.
	if value == "object" || value == "array" || value == "null" {
		value = ""
	}
	return value, strings.TrimPrefix(allowed, field+" ")
}
