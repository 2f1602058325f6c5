// Package check says whether an installation is well: of each thing that was looked at what is wrong with it, and what
// to do. It is pure: what is known comes in as Facts, which others gather, and what they could not see is said too.
package check

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Level is how bad something is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Unseen  Level = "unseen" // it could not be looked at
	Warning Level = "warning"
	Fault   Level = "fault"
)

// Finding is what came of looking at one thing.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Says  string `json:"says"`
	Do    string `json:"do,omitempty"`
}

// Facts are what was seen. An error in place of a fact says why it was not.
type Facts struct {
	Now time.Time // by this machine's clock

	Resource   error // that the API server serves CustomAutoscalers
	Controller Service
	Balancers  []Balancer
	// BalancersErr is why the load balancers were not all seen; Some are there then.
	BalancersErr error

	Pods    []Pod // of the services
	PodsErr error

	Leases    []Lease
	LeasesErr error

	Authority    []Certificate
	AuthorityErr error

	Policies    int // NetworkPolicies where Nemesis runs
	PoliciesErr error

	Clocks []Clock

	Applications    []Application
	ApplicationsErr error
}

// Service is what a service says of itself to anybody.
type Service struct {
	Err               error
	Ready             bool
	Waiting, Troubles []string
}

// Balancer is a load balancer.
type Balancer struct {
	Service
	Name      string
	StateErr  error
	Connected bool
	Age       time.Duration // since the last good answer of the controller
	LastError string
	Settings  string // in words, to be compared
	Draining  bool
	Log       []string // what troubles the log
	Behind    int64    // records that wait
	Oldest    time.Duration
}

// Pod is one of a service's pods.
type Pod struct {
	Name, Service, Version string // the version of its image
	Ready                  bool
	Why                    string // it is not ready
	Restarts               int32
}

// Lease is by which one leads.
type Lease struct {
	Name, Holder string
	Renewed      time.Time
	Lasts        time.Duration
}

// Certificate is one of the authority that the services are verified by.
type Certificate struct {
	Name        string
	From, Until time.Time
}

// Clock is somebody's, asked between two looks at this machine's.
type Clock struct {
	Whose           string
	At              time.Time
	Before, Between time.Time // this machine's
}

// Application is one with what troubles it, and how old the reports on it are.
type Application struct {
	Name     string
	Troubles []string
	Reports  []Report
}

// Report is a load balancer's.
type Report struct {
	Balancer string
	Age      time.Duration
}

// Look says of each thing how it is.
func Look(f Facts) []Finding {
	looks := []func(Facts) []Finding{
		resource, controller, pods, versions, leader, authority, balancers, settings, reports, logs, policies, clocks, applications,
	}
	all := make([]Finding, 0, 2*len(looks))
	for _, look := range looks {
		all = append(all, look(f)...)
	}
	return all
}

// Worst is the worst level of all.
func Worst(all []Finding) Level {
	order := []Level{OK, Unseen, Warning, Fault}
	worst := OK
	for _, one := range all {
		if slices.Index(order, one.Level) > slices.Index(order, worst) {
			worst = one.Level
		}
	}
	return worst
}

func one(check string, level Level, do, format string, args ...any) []Finding {
	return []Finding{{check, level, fmt.Sprintf(format, args...), do}}
}

func unseen(check string, err error) []Finding {
	return one(check, Unseen, "look at it with the rights of who runs Nemesis", "not seen: %v", err)
}

func resource(f Facts) []Finding {
	if f.Resource != nil {
		return one("resource", Fault, "kubectl apply -k kustomize/base/crd, or the Helm chart", "the API server does not serve CustomAutoscalers: %v", f.Resource)
	}
	return one("resource", OK, "", "the API server serves CustomAutoscalers")
}

func controller(f Facts) []Finding {
	return service("controller", f.Controller, "kubectl -n NAMESPACE logs deployment/autoscaler-controller")
}

// service is how a service is by its own word.
func service(check string, s Service, do string) []Finding {
	switch {
	case s.Err != nil:
		return one(check, Fault, do, "%v", s.Err)
	case !s.Ready:
		return one(check, Fault, do, "it is not ready: it waits for %s", strings.Join(s.Waiting, "; "))
	}
	var all []Finding
	for _, trouble := range s.Troubles {
		all = append(all, Finding{check, Warning, trouble, do})
	}
	if len(all) == 0 {
		return one(check, OK, "", "it serves")
	}
	return all
}

const manyRestarts = 5

func pods(f Facts) []Finding {
	if f.PodsErr != nil {
		return unseen("pods", f.PodsErr)
	}
	var all []Finding
	ready := map[string]int{}
	for _, p := range f.Pods {
		if p.Ready {
			ready[p.Service]++
		} else {
			all = append(all, Finding{"pods", Fault, fmt.Sprintf("%s is not ready: %s", p.Name, orElse(p.Why, "it does not say why")), "kubectl -n NAMESPACE describe pod " + p.Name})
		}
		if p.Restarts >= manyRestarts {
			all = append(all, Finding{"pods", Warning, fmt.Sprintf("%s was restarted %d times", p.Name, p.Restarts), "kubectl -n NAMESPACE logs --previous " + p.Name})
		}
	}
	for _, name := range []string{"autoscaler-controller", "load-balancer"} {
		switch ready[name] {
		case 0:
			all = append(all, Finding{"pods", Fault, "no pod of " + name + " is ready", "kubectl -n NAMESPACE get deployment " + name})
		case 1:
			all = append(all, Finding{"pods", Warning, name + " has one ready pod: while that is away nobody does its work", "in production two of each: kustomize/overlays/production"})
		}
	}
	if len(all) == 0 {
		return one("pods", OK, "", "%d of %d are ready", len(f.Pods), len(f.Pods))
	}
	return all
}

func versions(f Facts) []Finding {
	if f.PodsErr != nil {
		return unseen("versions", f.PodsErr)
	}
	of := map[string][]string{}
	for _, p := range f.Pods {
		if p.Version != "" && !slices.Contains(of[p.Version], p.Service) {
			of[p.Version] = append(of[p.Version], p.Service)
		}
	}
	if len(of) < 2 {
		for version := range of {
			return one("versions", OK, "", "all pods are of %s", version)
		}
		return one("versions", Unseen, "", "the pods' images have no tag")
	}
	var parts []string
	for version, services := range of {
		slices.Sort(services)
		parts = append(parts, version+" ("+strings.Join(services, ", ")+")")
	}
	slices.Sort(parts)
	return one("versions", Warning, "end the rollout; services of a release and the next one run beside each other, others may not: UPGRADE.md", "pods of several versions run: %s", strings.Join(parts, ", "))
}

func leader(f Facts) []Finding {
	if f.LeasesErr != nil {
		return unseen("leader", f.LeasesErr)
	}
	if len(f.Leases) == 0 {
		return one("leader", Warning, "nothing, if one replica runs without leader election", "there is no Lease: nobody leads, or one replica does without")
	}
	var all []Finding
	for _, l := range f.Leases {
		age := f.Now.Sub(l.Renewed)
		switch {
		case l.Holder == "":
			all = append(all, Finding{"leader", Fault, fmt.Sprintf("nobody holds the Lease %s: nothing is scaled down", l.Name), "kubectl -n NAMESPACE logs deployment/autoscaler-controller"})
		case l.Lasts > 0 && age > 2*l.Lasts:
			all = append(all, Finding{"leader", Fault, fmt.Sprintf("%s holds the Lease %s and has not renewed it for %d s", l.Holder, l.Name, int(age.Seconds())), "look whether that pod runs, and whether the clocks agree (below)"})
		default:
			all = append(all, Finding{"leader", OK, fmt.Sprintf("%s leads (%s)", l.Holder, l.Name), ""})
		}
	}
	return all
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
	last := f.Authority[0]
	for _, c := range f.Authority {
		if c.Until.After(last.Until) {
			last = c
		}
	}
	switch left := last.Until.Sub(f.Now); {
	case left <= 0:
		return one("certificates", Fault, "restart the controller, and look into its log: it renews the authority (Secret nemesis-ca-key), unless it is yours", "the authority %s ended on %s", last.Name, last.Until.UTC().Format(time.DateOnly))
	case left < expiring:
		return one("certificates", Warning, "the controller renews its own authority long before; one of yours is yours to renew", "the authority %s ends on %s", last.Name, last.Until.UTC().Format(time.DateOnly))
	case f.Now.Before(last.From):
		return one("certificates", Fault, "set the clocks", "the authority %s begins on %s: by this clock it is not good yet", last.Name, last.From.UTC().Format(time.RFC3339))
	default:
		return one("certificates", OK, "", "the authority %s lasts until %s", orElse(last.Name, "nemesis-ca"), last.Until.UTC().Format(time.DateOnly))
	}
}

// silent is how long a load balancer may go without hearing of the controller: it asks every few seconds.
const silent = 70 * time.Second

func balancers(f Facts) []Finding {
	var all []Finding
	if f.BalancersErr != nil {
		all = unseen("load balancers", f.BalancersErr)
	}
	for _, b := range f.Balancers {
		check := "load balancer " + orElse(b.Name, "of the Service")
		switch {
		case b.Err != nil || !b.Ready || len(b.Troubles) > 0:
			all = append(all, service(check, b.Service, "kubectl -n NAMESPACE logs deployment/load-balancer")...)
		case b.StateErr != nil:
			all = append(all, unseen(check, b.StateErr)...)
		case !b.Connected || b.Age > silent:
			all = append(all, Finding{check, Fault, fmt.Sprintf("it has not heard of the controller for %d s, and goes on with what it knows: %s", int(b.Age.Seconds()), orElse(b.LastError, "it does not say why")),
				"look whether the controller runs, and whether a NetworkPolicy lets the load balancer reach it"})
		case b.Draining:
			all = append(all, Finding{check, Warning, "it is about to end and takes no new connections", "nothing, during a rollout"})
		default:
			all = append(all, Finding{check, OK, "it serves, and follows the controller", ""})
		}
	}
	if len(f.Balancers) == 0 && f.BalancersErr == nil {
		return one("load balancers", Fault, "kubectl -n NAMESPACE get deployment load-balancer", "there is none")
	}
	return all
}

func settings(f Facts) []Finding {
	var first *Balancer
	for i, b := range f.Balancers {
		switch {
		case b.Settings == "":
		case first == nil:
			first = &f.Balancers[i]
		case b.Settings != first.Settings:
			return one("settings", Warning, "wait a moment; if it stays so, look into the log of the one that is behind", "%s follows %s, and %s follows %s", first.Name, first.Settings, b.Name, b.Settings)
		}
	}
	if first == nil {
		return nil
	}
	return one("settings", OK, "", "all load balancers follow the same: %s", first.Settings)
}

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
	if len(all) == 0 {
		return one("reports", OK, "", "%s to the controller", count(len(oldest), "load balancer reports", "load balancers report"))
	}
	slices.SortFunc(all, func(a, b Finding) int { return strings.Compare(a.Says, b.Says) })
	return all
}

// behind is how old a record may be that is not where the log is kept.
const behind = 5 * time.Minute

func logs(f Facts) []Finding {
	var all []Finding
	seen := false
	for _, b := range f.Balancers {
		seen = seen || b.StateErr == nil && b.Err == nil
		for _, trouble := range b.Log {
			all = append(all, Finding{"log", Fault, orElse(b.Name, "the load balancer") + ": " + trouble, "no request is kept from being served by that; services/load-balancer/README.md, What goes wrong"})
		}
		if b.Oldest > behind {
			all = append(all, Finding{"log", Warning, fmt.Sprintf("%s has %d records that are not in the log yet, the oldest %d s old", orElse(b.Name, "the load balancer"), b.Behind, int(b.Oldest.Seconds())), "look whether Elasticsearch takes them"})
		}
	}
	if len(all) == 0 && seen {
		return one("log", OK, "", "requests are logged")
	}
	return all
}

func policies(f Facts) []Finding {
	switch {
	case f.PoliciesErr != nil:
		return unseen("network policies", f.PoliciesErr)
	case f.Policies == 0:
		return one("network policies", Warning, "kustomize/overlays/production has them, and the chart (networkPolicy.enabled); the network must enforce them", "the namespace is open: every pod of the cluster reaches the controller and the admin ports, and is asked for its token there")
	}
	return one("network policies", OK, "", "%s the namespace", count(f.Policies, "policy closes", "policies close"))
}

// apart is how far clocks may be from each other.
const apart = 5 * time.Second

func clocks(f Facts) []Finding {
	var all []Finding
	for _, c := range f.Clocks {
		early, late := c.At.Sub(c.Between), c.Before.Sub(c.At) // it was read between the two
		off := max(early, late)
		if off <= apart {
			continue
		}
		way := "ahead of"
		if late > early {
			way = "behind"
		}
		all = append(all, Finding{"clocks", Warning, fmt.Sprintf("the clock of %s is %d s %s this machine's", c.Whose, int(off.Seconds()), way), "set them by NTP: ages, deadlines and certificates go by them"})
	}
	if len(all) == 0 && len(f.Clocks) > 0 {
		return one("clocks", OK, "", "%s with this machine's within %d s", count(len(f.Clocks), "clock agrees", "clocks agree"), int(apart.Seconds()))
	}
	return all
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
	if len(all) == 0 {
		return one("applications", OK, "", "none of %d needs attention", len(f.Applications))
	}
	if more := len(all) - shownApplications; more > 0 {
		all = append(all[:shownApplications], Finding{"applications", Warning, fmt.Sprintf("%d more need attention", more), "nemesis status -A"})
	}
	return all
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
