package elastic

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
)

// Settings are what an operator says of Elasticsearch: the balancer's and the set-up's alike. Without
// a URL there is none.
type Settings struct {
	URL          string // with commas between, when there are several nodes
	Username     string
	PasswordFile string
	APIKeyFile   string
	CAFile       string
	Namespace    string // of the data streams

	// Who reads for GET /proxy/logs, when it is another than who writes.
	ReadUsername     string
	ReadPasswordFile string
	ReadAPIKeyFile   string
}

// Declare names them in a set.
func (s *Settings) Declare(set *settings.Set) {
	set.String(&s.URL, "elasticsearch-url", "", "Elasticsearch's nodes, with commas between; none by default")
	set.String(&s.Username, "elasticsearch-username", "", "who is asking, with elasticsearch-password-file")
	set.String(&s.PasswordFile, "elasticsearch-password-file", "", "file with the password")
	set.String(&s.APIKeyFile, "elasticsearch-api-key-file", "", "file with an API key in its encoded form, in place of a user")
	set.String(&s.ReadUsername, "elasticsearch-read-username", "", "who searches the log, when it is another than who writes it")
	set.String(&s.ReadPasswordFile, "elasticsearch-read-password-file", "", "file with that one's password")
	set.String(&s.ReadAPIKeyFile, "elasticsearch-read-api-key-file", "", "file with that one's API key, in place of a user")
	set.String(&s.CAFile, "elasticsearch-ca-file", "", "PEM file with the authorities to trust; those of the system by default")
	set.String(&s.Namespace, "elasticsearch-namespace", "default", "last part of the data streams' names")
}

// Wanted tells whether there is an Elasticsearch.
func (s Settings) Wanted() bool { return strings.TrimSpace(s.URL) != "" }

// Options are for New.
func (s Settings) Options() Options {
	o := Options{Username: s.Username, PasswordFile: s.PasswordFile, APIKeyFile: s.APIKeyFile, CAFile: s.CAFile}
	for u := range strings.SplitSeq(s.URL, ",") {
		if u = strings.TrimSpace(u); u != "" {
			o.URLs = append(o.URLs, u)
		}
	}
	return o
}

// ReadOptions are for the client that searches.
func (s Settings) ReadOptions() Options {
	o := s.Options()
	if s.ReadUsername != "" || s.ReadPasswordFile != "" || s.ReadAPIKeyFile != "" {
		o.Username, o.PasswordFile, o.APIKeyFile, o.Reads = s.ReadUsername, s.ReadPasswordFile, s.ReadAPIKeyFile, true
	}
	return o
}

// Validate names every fault; without a URL nothing else may be set, for it would have no effect.
func (s Settings) Validate() error {
	var faults []error
	if !ValidNamespace(s.Namespace) {
		faults = append(faults, fmt.Errorf("elasticsearch-namespace: %q is not allowed: must be lower-case letters, digits, _ and . from 1 to 100", s.Namespace))
	}
	if s.Wanted() {
		faults = append(faults, s.Options().Validate())
		if o := s.ReadOptions(); o.Reads {
			faults = append(faults, o.validateCredentials())
		}
		return errors.Join(faults...)
	}
	for _, only := range []struct{ key, value string }{
		{"elasticsearch-username", s.Username}, {"elasticsearch-password-file", s.PasswordFile}, {"elasticsearch-api-key-file", s.APIKeyFile}, {"elasticsearch-ca-file", s.CAFile},
		{"elasticsearch-read-username", s.ReadUsername}, {"elasticsearch-read-password-file", s.ReadPasswordFile}, {"elasticsearch-read-api-key-file", s.ReadAPIKeyFile},
	} {
		if only.value != "" {
			faults = append(faults, fmt.Errorf("%s: %q is not allowed without elasticsearch-url", only.key, only.value))
		}
	}
	return errors.Join(faults...)
}
