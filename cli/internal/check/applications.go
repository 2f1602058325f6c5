package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/cli/internal/show"
)

// stale is how old a report may be: they come about once a second, and the controller holds what goes down after that.
const stale = 10 * time.Second

func reports(f Facts) []Finding {
	if f.ApplicationsErr != nil {
		return unseen("reports", f.ApplicationsErr)
	}
	oldest := map[string]time.Duration{}
	for _, a := range f.Applications {
		for _, r := range a.Reports {
			oldest[r.Balancer] = max(oldest[r.Balancer], r.Age)
		}
	}
	if len(oldest) == 0 {
		if len(f.Applications) == 0 {
			return nil
		}
		return one("reports", Fault, "look whether load balancers run, and into their log: without reports nothing goes to sleep", "no load balancer has reported to the controller")
	}
	var all []Finding
	for name, age := range oldest {
		if age > stale {
			all = append(all, Finding{"reports", Fault, fmt.Sprintf("the last report of %s is %d s old: nothing is scaled down before it is known to be gone", name, int(age.Seconds())),
				"look whether that pod runs; it is forgotten by itself when it does not"})
		}
	}
	slices.SortFunc(all, func(a, b Finding) int { return strings.Compare(a.Says, b.Says) })
	return orWell(all, "reports", "%s to the controller", show.Count(len(oldest), "load balancer reports", "load balancers report"))
}

// shownApplications bounds how many are said one by one.
const shownApplications = 20

func applications(f Facts) []Finding {
	if f.ApplicationsErr != nil {
		return unseen("applications", f.ApplicationsErr)
	}
	var all []Finding
	for _, a := range f.Applications {
		if len(a.Troubles) > 0 {
			all = append(all, Finding{"applications", Warning, a.Name + ": " + strings.Join(a.Troubles, "; "), "nemesis status " + a.Name})
		}
	}
	for _, why := range f.Refused {
		all = append(all, Finding{"applications", Warning, why, "another apiPrefix or host, or a ClaimPolicy that grants this one"})
	}
	if more := len(all) - shownApplications; more > 0 {
		all = append(all[:shownApplications], Finding{"applications", Warning, fmt.Sprintf("%d more need attention", more), "nemesis status -A"})
	}
	return orWell(all, "applications", "none of %d needs attention", len(f.Applications))
}
