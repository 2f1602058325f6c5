package contract

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

func waiting(s autoscaler.CustomAutoscalerSpec) fleet.Waiting {
	return fleet.Waiting{
		StartTimeout: seconds(value(s.StartTimeout, 0)), BusyTimeout: seconds(value(s.BusyTimeout, 0)),
		While: string(value(s.WhileWaiting, autoscaler.WhileWaiting(fleet.WhileWaiting[0]))),
	}
}

func uncounted(s autoscaler.CustomAutoscalerSpec) []fleet.UncountedRequest {
	given := value(s.UncountedRequests, nil)
	if len(given) == 0 {
		return nil
	}
	list := make([]fleet.UncountedRequest, 0, len(given))
	for _, u := range given {
		list = append(list, fleet.UncountedRequest{
			Paths: value(u.Paths, nil), Methods: value(u.Methods, nil), UserAgents: value(u.UserAgents, nil),
			StatusWhileAsleep: int32(value(u.StatusWhileAsleep, http.StatusOK)),
		})
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

func requestFaults(s autoscaler.CustomAutoscalerSpec, wakeUpTimeout time.Duration) []error {
	var faults []error
	for _, timeout := range []struct {
		name  string
		given *int32
	}{{"startTimeout", s.StartTimeout}, {"busyTimeout", s.BusyTimeout}} {
		if n := timeout.given; n != nil && (*n < 1 || seconds(*n) > wakeUpTimeout) {
			faults = append(faults, fmt.Errorf("spec.%s: %d is not allowed: must be from 1 to wakeUpTimeout, which is %d", timeout.name, *n, int(wakeUpTimeout.Seconds())))
		}
	}
	if while := string(value(s.WhileWaiting, "")); while != "" && !slices.Contains(fleet.WhileWaiting, while) {
		faults = append(faults, fmt.Errorf("spec.whileWaiting: %q is not allowed: must be one of %s", while, strings.Join(fleet.WhileWaiting, ", ")))
	}
	list := uncounted(s)
	if n := len(list); n > maxUncounted {
		faults = append(faults, fmt.Errorf("spec.uncountedRequests: %d entries are not allowed: must be at most %d", n, maxUncounted))
	}
	for i, u := range list {
		faults = append(faults, uncountedFaults(fmt.Sprintf("spec.uncountedRequests[%d]", i), u)...)
	}
	return faults
}

func uncountedFaults(field string, u fleet.UncountedRequest) []error {
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
				faults = append(faults, fmt.Errorf("%s.%s[%d]: %q is not allowed: must %s", field, list.name, j, Cut(entry), list.allowed))
			}
		}
	}
	if s := u.StatusWhileAsleep; s != http.StatusOK && s != http.StatusServiceUnavailable {
		faults = append(faults, fmt.Errorf("%s.statusWhileAsleep: %d is not allowed: must be 200 or 503", field, s))
	}
	return faults
}

// Cut is a text within the contract's bound on messages.
func Cut(s string) string {
	const limit = 1000
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
