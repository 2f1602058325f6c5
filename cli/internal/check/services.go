package check

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

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
	return orWell(all, check, "it serves")
}

// silent is how long a load balancer may go without hearing of the controller: it asks every few seconds.
const silent = 70 * time.Second

func balancers(f Facts) []Finding {
	var all []Finding
	if f.BalancersErr != nil {
		all = unseen("load balancers", f.BalancersErr)
	}
	for _, b := range f.Balancers {
		check := "load balancer " + cmp.Or(b.Name, "of the Service")
		switch {
		case b.Err != nil || !b.Ready || len(b.Troubles) > 0:
			all = append(all, service(check, b.Service, "kubectl -n NAMESPACE logs deployment/load-balancer")...)
		case b.StateErr != nil:
			all = append(all, unseen(check, b.StateErr)...)
		case !b.Connected || b.Age > silent:
			all = append(all, Finding{check, Fault, fmt.Sprintf("it has not heard of the controller for %d s, and goes on with what it knows: %s", int(b.Age.Seconds()), cmp.Or(b.LastError, "it does not say why")),
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

// behind is how old a record may be that is not where the log is kept.
const behind = 5 * time.Minute

func logs(f Facts) []Finding {
	var all []Finding
	seen := false
	for _, b := range f.Balancers {
		seen = seen || b.StateErr == nil && b.Err == nil
		for _, trouble := range b.Log {
			all = append(all, Finding{"log", Fault, cmp.Or(b.Name, "the load balancer") + ": " + trouble, "no request is kept from being served by that; services/load-balancer/README.md, What goes wrong"})
		}
		if b.Oldest > behind {
			all = append(all, Finding{"log", Warning, fmt.Sprintf("%s has %d records that are not in the log yet, the oldest %d s old", cmp.Or(b.Name, "the load balancer"), b.Behind, int(b.Oldest.Seconds())), "look whether Elasticsearch takes them"})
		}
	}
	if len(all) == 0 && seen {
		return one("log", OK, "", "requests are logged")
	}
	return all
}
