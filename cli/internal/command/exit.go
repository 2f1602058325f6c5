package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
)

// The exit codes. They are told to people, and do not change.
const (
	done = iota
	failed
	misused
	forbidden
	missing
	unreachable
	unwell
	unfinished
)

var codes = [...]string{
	done:        "done",
	failed:      "something else went wrong",
	misused:     "the command line is wrong",
	forbidden:   "you may not, or did not say who you are",
	missing:     "there is no such thing",
	unreachable: "nobody answered",
	unwell:      "check found a fault",
	unfinished:  "it did not come about in the time given to it",
}

// codesInWords are the exit codes as the help has them.
func codesInWords() string {
	all := make([]string, len(codes))
	for code, meaning := range codes {
		all[code] = fmt.Sprintf("%d %s", code, meaning)
	}
	return strings.Join(all, "; ") + "."
}

// outcome is an error that carries its exit code; without a text it has been said already.
type outcome struct {
	code int
	text string
}

func (o *outcome) Error() string { return o.text }

// exitCode is what a program that calls this one sees.
func exitCode(ctx context.Context, err error) int {
	var known *outcome
	switch {
	case err == nil:
		return done
	case errors.As(err, &known):
		return known.code
	case errors.As(err, new(*client.UsageError)) || strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "if any flags in the group"):
		return misused
	case client.NoToken(err):
		return forbidden
	case errors.As(err, new(*client.UnreachableError)):
		return unreachable
	case ctx.Err() != nil:
		return failed
	}
	switch client.Status(err) {
	case http.StatusUnauthorized, http.StatusForbidden:
		return forbidden
	case http.StatusNotFound:
		return missing
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return unreachable
	}
	return failed
}

// said is what people are told of an error, and what they may do about it.
func said(err error) string {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return ""
	case client.NoToken(err):
		return err.Error() + `.
Say who you are in one of these ways:
  --service-account NAMESPACE/NAME   a token of this account is made with your kubeconfig (you need the right to create serviceaccounts/token)
  --token TOKEN                      a token of yours, as from kubectl create token NAME, in place of the kubeconfig's credentials`
	default:
		return err.Error()
	}
}
