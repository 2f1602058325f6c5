package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
)

// RefusalError is an answer that says no, or that something went wrong there.
type RefusalError struct {
	Status int
	Code   string
	Text   string
}

func (r *RefusalError) Error() string { return r.Text }

// UnreachableError is that nobody answered.
type UnreachableError struct {
	Who, Where string
	Err        error
}

func (u *UnreachableError) Error() string {
	return fmt.Sprintf("%s (%s) does not answer: %v", u.Who, u.Where, u.Err)
}

func (u *UnreachableError) Unwrap() error { return u.Err }

// NoToken tells whether what is missing is a token.
func NoToken(err error) bool { return errors.Is(err, errNoToken) }

// Forbidden tells whether the caller may not.
func Forbidden(err error) bool { return Status(err) == http.StatusForbidden }

// NotFound tells whether there is no such thing.
func NotFound(err error) bool { return Status(err) == http.StatusNotFound }

// Status is the status of the answer that an error is about; 0: none came.
func Status(err error) int {
	if refusal, ok := errors.AsType[*RefusalError](err); ok {
		return refusal.Status
	}
	if kubernetes := (apierrors.APIStatus)(nil); errors.As(err, &kubernetes) {
		return int(kubernetes.Status().Code)
	}
	return 0
}

// Refused says of an answer of the API server what was asked for.
func Refused(what string, err error) error {
	if code := Status(err); code != 0 {
		return &RefusalError{Status: code, Text: fmt.Sprintf("%s: %v", what, err)}
	}
	return &UnreachableError{Who: "the Kubernetes API server", Where: what, Err: err}
}

// answer is what the generated clients give of every operation.
type answer interface {
	StatusCode() int
	GetBody() []byte
}

// read is what was asked for, or the refusal that came in its place.
func read[T any](a answer, wanted *T) (T, error) {
	if wanted != nil {
		return *wanted, nil
	}
	var none T
	return none, refusalOf(a.StatusCode(), a.GetBody())
}

// refusalOf reads a problem document of Nemesis', or a Status of Kubernetes'.
func refusalOf(code int, body []byte) error {
	var problem common.Problem
	if json.Unmarshal(body, &problem) == nil && problem.Code != "" {
		return &RefusalError{Status: code, Code: problem.Code, Text: inWords(problem)}
	}
	var kubernetes autoscaler.KubernetesStatus
	if json.Unmarshal(body, &kubernetes) == nil && kubernetes.Message != nil {
		return &RefusalError{Status: code, Code: "kubernetes", Text: "the Kubernetes API server says: " + *kubernetes.Message + hint(code, *kubernetes.Message)}
	}
	text := strings.TrimSpace(string(body[:min(len(body), 256)]))
	return &RefusalError{Status: code, Text: strings.TrimSpace(fmt.Sprintf("%d %s: %s", code, http.StatusText(code), text))}
}

// hint says what to do where the way itself is closed.
func hint(code int, message string) string {
	switch {
	case code == http.StatusForbidden && (strings.Contains(message, "services/proxy") || strings.Contains(message, "pods/proxy")):
		return "\nBy the API server's proxy Nemesis is reached by those who may use it in its namespace: ask for that right, or use --port-forward, or --controller and --balancer with addresses of yours."
	case code == http.StatusServiceUnavailable && strings.Contains(message, "no endpoints available"):
		return "\nNo pod of it runs. `nemesis check` says more."
	case code == http.StatusNotFound && strings.Contains(message, "services"):
		return "\nIs Nemesis in another namespace? --system-namespace names it."
	}
	return ""
}

// inWords is a problem document as people read it.
func inWords(p common.Problem) string {
	text := p.Title
	if p.Detail != nil && *p.Detail != "" {
		text = *p.Detail
	}
	if p.Errors != nil {
		for _, field := range *p.Errors {
			line := field.Field
			if field.Value != nil && *field.Value != "" {
				line += ": " + *field.Value + " is not allowed"
			}
			if !strings.Contains(text, field.Allowed) {
				line += ": allowed is " + field.Allowed
			}
			if !strings.Contains(text, line) {
				text += "\n  " + line
			}
		}
	}
	if p.RetryAfterSeconds != nil && *p.RetryAfterSeconds > 0 {
		text += fmt.Sprintf("\n  Try again in %d s.", *p.RetryAfterSeconds)
	}
	return text
}
