package cluster

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// requests is the JSON of what becomes of requests, a part of a CustomAutoscaler's spec.
type requests struct {
	StartTimeout *int32            `json:"startTimeout"`
	BusyTimeout  *int32            `json:"busyTimeout"`
	WhileWaiting string            `json:"whileWaiting"`
	Uncounted    []uncountedInSpec `json:"uncountedRequests"`
}

type uncountedInSpec struct {
	Paths      []string `json:"paths"`
	Methods    []string `json:"methods"`
	UserAgents []string `json:"userAgents"`
	Status     *int32   `json:"statusWhileAsleep"`
}

func (r requests) waiting() fleet.Waiting {
	return fleet.Waiting{
		StartTimeout: time.Duration(value(r.StartTimeout, 0)) * time.Second,
		BusyTimeout:  time.Duration(value(r.BusyTimeout, 0)) * time.Second,
		While:        orElse(r.WhileWaiting, fleet.WhileWaiting[0]),
	}
}

func (r requests) uncounted() []fleet.UncountedRequest {
	list := make([]fleet.UncountedRequest, 0, len(r.Uncounted))
	for _, u := range r.Uncounted {
		list = append(list, fleet.UncountedRequest{
			Paths: u.Paths, Methods: u.Methods, UserAgents: u.UserAgents, StatusWhileAsleep: value(u.Status, http.StatusOK),
		})
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// The bounds and forms of the contract.
const (
	maxUncounted  = 16
	maxPaths      = 16
	maxMethods    = 8
	maxUserAgents = 16
)

var (
	pathForm      = regexp.MustCompile(`^/[^?#*\s]{0,254}[*]?$`)
	methodForm    = regexp.MustCompile(`^[A-Z]{1,16}$`)
	userAgentForm = regexp.MustCompile(`^[!-~]([ -~]{0,126}[!-~])?$`)
)

func (r requests) faults(wakeUpTimeout time.Duration) []error {
	var faults []error
	for _, timeout := range []struct {
		name  string
		given *int32
	}{{"startTimeout", r.StartTimeout}, {"busyTimeout", r.BusyTimeout}} {
		if s := timeout.given; s != nil && (*s < 1 || time.Duration(*s)*time.Second > wakeUpTimeout) {
			faults = append(faults, fmt.Errorf("spec.%s: %d is not allowed: must be from 1 to wakeUpTimeout, which is %d", timeout.name, *s, int(wakeUpTimeout.Seconds())))
		}
	}
	if r.WhileWaiting != "" && !slices.Contains(fleet.WhileWaiting, r.WhileWaiting) {
		faults = append(faults, fmt.Errorf("spec.whileWaiting: %q is not allowed: must be one of %s", r.WhileWaiting, strings.Join(fleet.WhileWaiting, ", ")))
	}
	if n := len(r.Uncounted); n > maxUncounted {
		faults = append(faults, fmt.Errorf("spec.uncountedRequests: %d entries are not allowed: must be at most %d", n, maxUncounted))
	}
	for i, u := range r.Uncounted {
		faults = append(faults, u.faults(fmt.Sprintf("spec.uncountedRequests[%d]", i))...)
	}
	return faults
}

func (u uncountedInSpec) faults(field string) []error {
	var faults []error
	if len(u.Paths)+len(u.Methods)+len(u.UserAgents) == 0 {
		faults = append(faults, fmt.Errorf("%s: at least one of paths, methods and userAgents must be given", field))
	}
	for _, list := range []struct {
		name    string
		entries []string
		most    int
		form    *regexp.Regexp
		allowed string
	}{
		{"paths", u.Paths, maxPaths, pathForm, "begin with /, have at most 256 characters, and no ?, #, blank or * but one * at the end"},
		{"methods", u.Methods, maxMethods, methodForm, "have 1 to 16 letters from A to Z"},
		{"userAgents", u.UserAgents, maxUserAgents, userAgentForm, "have 1 to 128 printable ASCII characters, no blank at either end"},
	} {
		if n := len(list.entries); n > list.most {
			faults = append(faults, fmt.Errorf("%s.%s: %d entries are not allowed: must be at most %d", field, list.name, n, list.most))
		}
		for j, entry := range list.entries {
			if !list.form.MatchString(entry) {
				faults = append(faults, fmt.Errorf("%s.%s[%d]: %q is not allowed: must %s", field, list.name, j, cut(entry), list.allowed))
			}
		}
	}
	if s := value(u.Status, http.StatusOK); s != http.StatusOK && s != http.StatusServiceUnavailable {
		faults = append(faults, fmt.Errorf("%s.statusWhileAsleep: %d is not allowed: must be 200 or 503", field, s))
	}
	return faults
}
