package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/nemesis-scaling/nemesis/cli/internal/show"
)

// ofAuthority is what a service calls the authority by which it verifies others.
const ofAuthority = "authority"

// uses are what services have certificates for, and what there is to do about one; there may be more later.
var uses = map[string]struct{ text, do string }{
	"port":      {"for the other services", "look into its log: it asks the controller for a new one, or reads the files that service-cert-file names"},
	"data":      {"for clients of the data port", "whoever made it renews it (cert-manager, or the Secret or files of tls-cert-dirs and tls-cert-files); what was changed is read within 10 s, and if it cannot be used its log says why"},
	"webhook":   {"for the API server's questions", "kubectl -n NAMESPACE logs deployment/autoscaler-controller; the leader issues it from the Secret nemesis-webhook-ca"},
	ofAuthority: {"of the authority that it verifies others by", "kubectl -n NAMESPACE get configmap nemesis-ca; the controller renews its own authority, one of yours is yours to renew"},
}

// expiring is how long before its end an authority is to be looked at: it is renewed long before that.
const expiring = 14 * 24 * time.Hour

func authority(f Facts) []Finding {
	if f.AuthorityErr != nil {
		return unseen("certificates", f.AuthorityErr)
	}
	if len(f.Authority) == 0 {
		return one("certificates", Fault, "kubectl -n NAMESPACE get configmap nemesis-ca; the controller makes it, and says in its log why it does not", "the authority nemesis-ca has no certificate")
	}
	last := inForce(f.Authority, f.Now)
	switch left := last.Until.Sub(f.Now); {
	case left <= 0:
		return one("certificates", Fault, "restart the controller, and look into its log: it renews the authority (Secret nemesis-ca-key), unless it is yours", "the authority %s ended on %s", last.Name, last.Until.UTC().Format(time.DateOnly))
	case f.Now.Before(last.From):
		return one("certificates", Fault, "set the clocks", "the authority %s begins on %s: by this clock it is not good yet", last.Name, last.From.UTC().Format(time.RFC3339))
	case left < expiring:
		return one("certificates", Warning, "the controller renews its own authority long before; one of yours is yours to renew", "the authority %s ends on %s", last.Name, last.Until.UTC().Format(time.DateOnly))
	default:
		return one("certificates", OK, "", "the authority %s lasts until %s", cmp.Or(last.Name, "nemesis-ca"), last.Until.UTC().Format(time.DateOnly))
	}
}

// inForce is the one of several authorities that counts: those before it end while it is good, and one to come is not good yet.
// There is one.
func inForce(all []Certificate, now time.Time) Certificate {
	rank := func(c Certificate) int {
		switch {
		case !c.Until.After(now):
			return 0
		case now.Before(c.From):
			return 1
		}
		return 2
	}
	return slices.MaxFunc(all, func(a, b Certificate) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), a.Until.Compare(b.Until)) })
}

// shown are the certificates that the services themselves say they have, as the console judges them, too.
func shown(f Facts) []Finding {
	var faults []Finding
	var good []Certificate
	of := func(who string, all []Certificate) {
		for _, c := range judged(all, f.Now) {
			if bad := judge(who, c, f.Now); bad != nil {
				faults = append(faults, *bad)
			} else {
				good = append(good, c)
			}
		}
	}
	of("the controller", f.Controller.Certificates)
	for _, b := range f.Balancers {
		of(cmp.Or(b.Name, "the load balancer of the Service"), b.Certificates)
	}
	if len(faults) > 0 || len(good) == 0 { // a service of an older version does not say
		return faults
	}
	first := slices.MinFunc(good, func(a, b Certificate) int { return a.Until.Compare(b.Until) })
	return one("certificates", OK, "", "the services show %s; the first to end does on %s", show.Count(len(good), "that is good", "that are good"), first.Until.UTC().Format(time.RFC3339))
}

// judged are those that count.
func judged(all []Certificate, now time.Time) []Certificate {
	var list, authorities []Certificate
	for _, c := range all {
		if c.Name == ofAuthority {
			authorities = append(authorities, c)
		} else {
			list = append(list, c)
		}
	}
	if len(authorities) > 0 {
		list = append(list, inForce(authorities, now))
	}
	return list
}

// judge is what is wrong with one. Those that services get from the controller are renewed when a third of their time is left, and
// so are most that others give: with a fifth of it left that did not happen.
func judge(who string, c Certificate, now time.Time) *Finding {
	use, known := uses[c.Name]
	if !known {
		use.text, use.do = "for "+c.Name, "look into its log"
	}
	bad := func(level Level, do, format string, args ...any) *Finding {
		return &Finding{"certificates", level, fmt.Sprintf("%s: the certificate %s %s", who, use.text, fmt.Sprintf(format, args...)), do}
	}
	end, left := c.Until.UTC().Format(time.RFC3339), c.Until.Sub(now)
	switch {
	case left <= 0:
		return bad(Fault, use.do, "ended on %s, %s ago: nobody takes it", end, show.Seconds(-left.Seconds()))
	case now.Before(c.From):
		return bad(Fault, "set the clocks", "begins on %s: by this clock it is not good yet", c.From.UTC().Format(time.RFC3339))
	case left < c.Until.Sub(c.From)/5:
		return bad(Warning, use.do, "ends on %s, in %s: it should have been renewed", end, show.Seconds(left.Seconds()))
	}
	return nil
}
