// Package authentication has what every service with callers has of the setting of this name: its values, what is measured
// of it, and how service accounts are named in settings.
package authentication

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// The values of the setting.
const (
	Required = "required"
	Optional = "optional" // callers without a token are served as 0.1.0 served everybody, for a rollout from it
)

// Calls measure whether callers need a token, and count those that were served without one.
type Calls struct{ without prometheus.Counter }

// Measure makes it.
func Measure(registry prometheus.Registerer, optional bool) *Calls {
	required := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "nemesis_authentication_required", Help: "1 where every caller needs a token, 0 where one without is let in.",
	})
	if !optional {
		required.Set(1)
	}
	c := &Calls{prometheus.NewCounter(prometheus.CounterOpts{
		Name: "nemesis_calls_without_token_total", Help: "Calls of operations that want a token, which were let in without one because authentication is optional.",
	})}
	registry.MustRegister(required, c.without)
	return c
}

// WithoutToken counts one.
func (c *Calls) WithoutToken() { c.without.Inc() }

// Account is a service account.
type Account struct{ Namespace, Name string }

// String is how it is written in settings.
func (a Account) String() string { return a.Namespace + "/" + a.Name }

// account is as Kubernetes allows it: a label, and a name of labels with dots between.
var account = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// AccountList is what Accounts reads, in words.
const AccountList = "service accounts as namespace/name, with commas between"

// Accounts reads service accounts.
func Accounts(text string) (list []Account, err error) {
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if !account.MatchString(one) {
			return nil, fmt.Errorf("%q is not allowed: must be %s", text, AccountList)
		}
		namespace, name, _ := strings.Cut(one, "/")
		list = append(list, Account{namespace, name})
	}
	return list, nil
}
