package check

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// well is an installation with nothing wrong.
func well() Facts {
	balancer := func(name string) Balancer {
		return Balancer{Service: Service{Ready: true, Certificates: certificates("port", "data", "authority")}, Name: name, Connected: true, Age: time.Second, Settings: "policy random"}
	}
	pod := func(service string, n int) Pod {
		return Pod{Name: fmt.Sprint(service, "-", n), Service: service, Version: "0.2.0", Ready: true}
	}
	return Facts{
		Now: now, Controller: Service{Ready: true, Certificates: certificates("port", "webhook", "authority")}, Balancers: []Balancer{balancer("lb-1"), balancer("lb-2")},
		Pods:      []Pod{pod("autoscaler-controller", 1), pod("autoscaler-controller", 2), pod("load-balancer", 1), pod("load-balancer", 2)},
		Leases:    []Lease{{"autoscaler-controller", "c-1", now.Add(-2 * time.Second), 15 * time.Second}},
		Authority: []Certificate{{"old", now.AddDate(-1, 0, 0), now.AddDate(0, 0, -1)}, {"new", now.AddDate(0, -1, 0), now.AddDate(1, 0, 0)}}, Policies: 3,
		Rights:       allowed(),
		Clocks:       []Clock{{"the API server", now, now.Add(-time.Second), now.Add(time.Second)}},
		Applications: []Application{{Name: "shop/cart", Reports: []Report{{"lb-1", time.Second}, {"lb-2", 2 * time.Second}}}},
	}
}

// certificates are good for a day, half of which is over; of authorities there is one that has ended, too, and one to come.
func certificates(uses ...string) []Certificate {
	var all []Certificate
	for _, use := range uses {
		all = append(all, Certificate{use, now.Add(-12 * time.Hour), now.Add(12 * time.Hour)})
		if use == ofAuthority {
			all = append(all, Certificate{use, now.AddDate(-1, 0, 0), now.AddDate(0, 0, -1)}, Certificate{use, now.AddDate(0, 0, 1), now.AddDate(1, 0, 0)})
		}
	}
	return all
}

func allowed() []Right {
	all := ControllerRights()
	for i := range all {
		all[i].Allowed = true
	}
	return all
}

// refuse takes away what is for this resource.
func refuse(f *Facts, resource string) {
	for i := range f.Rights {
		f.Rights[i].Allowed = f.Rights[i].Allowed && f.Rights[i].Resource != resource
	}
}

func TestLook_NothingIsWrong(t *testing.T) {
	all := Look(well())
	for _, f := range all {
		if f.Level != OK || f.Says == "" || f.Do != "" {
			t.Errorf("%+v", f)
		}
	}
	if len(all) < 12 || Worst(all) != OK {
		t.Errorf("%d things were looked at: %+v", len(all), all)
	}
}

func TestLook_EachFaultIsSaidWithWhatToDo(t *testing.T) {
	away := errors.New("nobody answers")
	for said, c := range map[string]struct {
		check string
		level Level
		spoil func(*Facts)
	}{
		"does not serve CustomAutoscalers: nobody answers": {"resource", Fault, func(f *Facts) { f.Resource = away }},
		"nobody answers":                    {"controller", Fault, func(f *Facts) { f.Controller.Err = away }},
		"it waits for the pods; the leader": {"controller", Fault, func(f *Facts) { f.Controller = Service{Waiting: []string{"the pods", "the leader"}} }},
		"clear text":                        {"controller", Warning, func(f *Facts) { f.Controller.Troubles = []string{"clear text"} }},
		"load-balancer-1 is not ready: CrashLoopBackOff":            {"pods", Fault, func(f *Facts) { f.Pods[2].Ready, f.Pods[2].Why = false, "CrashLoopBackOff" }},
		"load-balancer has one ready pod":                           {"pods", Warning, func(f *Facts) { f.Pods = f.Pods[:3] }},
		"no pod of load-balancer is ready":                          {"pods", Fault, func(f *Facts) { f.Pods = f.Pods[:2] }},
		"autoscaler-controller-1 was restarted 5 times":             {"pods", Warning, func(f *Facts) { f.Pods[0].Restarts = 5 }},
		"not seen: nobody answers":                                  {"versions", Unseen, func(f *Facts) { f.PodsErr = away }},
		"0.1.0 (load-balancer), 0.2.0 (autoscaler-controller, load": {"versions", Warning, func(f *Facts) { f.Pods[3].Version = "0.1.0" }},
		"the pods' images have no tag":                              {"versions", Unseen, func(f *Facts) { f.Pods = []Pod{{Service: "load-balancer"}} }},
		"there is no Lease":                                         {"leader", Warning, func(f *Facts) { f.Leases = nil }},
		"nobody holds the Lease autoscaler-controller":              {"leader", Fault, func(f *Facts) { f.Leases[0].Holder = "" }},
		"has not renewed it for 40 s":                               {"leader", Fault, func(f *Facts) { f.Leases[0].Renewed = now.Add(-40 * time.Second) }},
		"the authority nemesis-ca has no certificate":               {"certificates", Fault, func(f *Facts) { f.Authority = nil }},
		"the authority old ended on 2026-01-01":                     {"certificates", Fault, func(f *Facts) { f.Authority = f.Authority[:1] }},
		"the authority new ends on 2026-01-03":                      {"certificates", Warning, func(f *Facts) { f.Authority[1].Until = now.AddDate(0, 0, 1) }},
		"by this clock it is not good yet":                          {"certificates", Fault, func(f *Facts) { f.Authority[1].From = now.Add(time.Minute) }},
		"lb-2: the certificate for clients of the data port ended on 2026-01-01T03:04:05Z, 24 h ago: nobody takes it": {"certificates", Fault, func(f *Facts) { f.Balancers[1].Certificates[1].Until = now.AddDate(0, 0, -1) }},
		"lb-1: the certificate for clients of the data port ends on 2026-01-02T03:14:05Z, in 10 m":                    {"certificates", Warning, func(f *Facts) { f.Balancers[0].Certificates[1].Until = now.Add(10 * time.Minute) }},
		"lb-1: the certificate for the other services begins on 2026-01-02T03:09:05Z: by this clock":                  {"certificates", Fault, func(f *Facts) { f.Balancers[0].Certificates[0].From = now.Add(5 * time.Minute) }},
		"the controller: the certificate for the API server's questions ended":                                        {"certificates", Fault, func(f *Facts) { f.Controller.Certificates[1].Until = now }},
		"lb-1: the certificate of the authority that it verifies others by ended":                                     {"certificates", Fault, func(f *Facts) { f.Balancers[0].Certificates = f.Balancers[0].Certificates[3:4] }},
		"lb-1: the certificate of the authority that it verifies others by begins":                                    {"certificates", Fault, func(f *Facts) { f.Balancers[0].Certificates = f.Balancers[0].Certificates[3:] }},
		"lb-1: the certificate for carrier pigeons ended": {"certificates", Fault, func(f *Facts) {
			f.Balancers[0].Certificates[0] = Certificate{"carrier pigeons", now.AddDate(-1, 0, 0), now}
		}},
		"has not heard of the controller for 3 s":                   {"load balancer lb-1", Fault, func(f *Facts) { f.Balancers[0].Connected, f.Balancers[0].Age = false, 3*time.Second }},
		"for 71 s, and goes on with what it knows: refused":         {"load balancer lb-1", Fault, func(f *Facts) { f.Balancers[0].Age, f.Balancers[0].LastError = 71*time.Second, "refused" }},
		"it is not ready: it waits for routes":                      {"load balancer lb-2", Fault, func(f *Facts) { f.Balancers[1].Service = Service{Waiting: []string{"routes"}} }},
		"it is about to end":                                        {"load balancer lb-2", Warning, func(f *Facts) { f.Balancers[1].Draining = true }},
		"you may not":                                               {"load balancer lb-2", Unseen, func(f *Facts) { f.Balancers[1].StateErr = errors.New("you may not") }},
		"there is none":                                             {"load balancers", Fault, func(f *Facts) { f.Balancers = nil }},
		"lb-1 follows policy random, and lb-2 follows policy other": {"settings", Warning, func(f *Facts) { f.Balancers[1].Settings = "policy other" }},
		"no load balancer has reported":                             {"reports", Fault, func(f *Facts) { f.Applications[0].Reports = nil }},
		"the last report of lb-2 is 11 s old":                       {"reports", Fault, func(f *Facts) { f.Applications[0].Reports[1].Age = 11 * time.Second }},
		"lb-1: shipping: 403":                                       {"log", Fault, func(f *Facts) { f.Balancers[0].Log = []string{"shipping: 403"} }},
		"lb-1 has 7 records that are not in the log yet":            {"log", Warning, func(f *Facts) { f.Balancers[0].Behind, f.Balancers[0].Oldest = 7, time.Hour }},
		"the controller may not list, watch services":               {"rights", Fault, func(f *Facts) { refuse(f, "services") }},
		"may not list, watch namespaces":                            {"rights", Fault, func(f *Facts) { refuse(f, "namespaces") }},
		"create, update secrets nemesis-ca-key in ours":             {"rights", Fault, func(f *Facts) { f.System = "ours"; f.OneNamespace = true; refuse(f, "secrets") }},
		"not seen: you may not ask":                                 {"rights", Unseen, func(f *Facts) { f.RightsErr = errors.New("you may not ask") }},
		"the namespace is open":                                     {"network policies", Warning, func(f *Facts) { f.Policies = 0 }},
		"the API server is 9 s ahead of":                            {"clocks", Warning, func(f *Facts) { f.Clocks[0].At = now.Add(10 * time.Second) }},
		"the API server is 9 s behind":                              {"clocks", Warning, func(f *Facts) { f.Clocks[0].At = now.Add(-10 * time.Second) }},
		"shop/lost: claim refused":                                  {"applications", Warning, func(f *Facts) { f.Refused = []string{"shop/lost: claim refused: lost"} }},
		"shop/cart: no such image":                                  {"applications", Warning, func(f *Facts) { f.Applications[0].Troubles = []string{"no such image"} }},
	} {
		f := well()
		c.spoil(&f)
		all := Look(f)
		found := false
		for _, one := range all {
			if one.Level != OK && one.Level != Unseen && one.Do == "" {
				t.Errorf("%+v: what is there to do?", one)
			}
			found = found || one.Check == c.check && one.Level == c.level && strings.Contains(one.Says, said)
		}
		if !found || Worst(all) == OK {
			t.Errorf("%s %s %q is not in %+v", c.check, c.level, said, all)
		}
	}
}

func TestAuthority_TheOneThatIsGoodNowCounts(t *testing.T) {
	f := well()
	f.Authority = append(f.Authority, Certificate{"to come", now.AddDate(0, 0, 1), now.AddDate(3, 0, 0)})
	if got := authority(f); len(got) != 1 || got[0].Level != OK || !strings.HasPrefix(got[0].Says, "the authority new ") {
		t.Errorf("%+v", got)
	}
}

// Services of an older version do not say what they have.
func TestShown_WhatServicesDoNotSayIsNoFault(t *testing.T) {
	f := well()
	f.Controller.Certificates = nil
	for i := range f.Balancers {
		f.Balancers[i].Certificates = nil
	}
	if got := shown(f); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestRights_OfOneNamespaceAreWithoutWhatIsInNone(t *testing.T) {
	f := well()
	f.OneNamespace = true
	for _, resource := range clusterScoped {
		refuse(&f, resource)
	}
	if got := rights(f); len(got) != 1 || got[0].Level != OK || !strings.HasSuffix(got[0].Says, "in its namespace alone") {
		t.Errorf("%+v", got)
	}
}

// The manifests say what the controller needs.
func TestControllerRights_AreThoseOfTheManifests(t *testing.T) {
	var want []Right
	for _, file := range []string{"clusterrole.yaml", "role.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "kustomize", "base", "autoscaler-controller", file))
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ = bytes.Cut(text, []byte("\n---")) // the binding
		var role rbacv1.ClusterRole                   // a Role has the same rules
		if err := yaml.Unmarshal(text, &role); err != nil || len(role.Rules) == 0 {
			t.Fatalf("%s: %v", file, err)
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					one := Right{Group: rule.APIGroups[0], Verb: verb, System: file == "role.yaml"}
					one.Resource, one.Subresource, _ = strings.Cut(resource, "/")
					if len(rule.ResourceNames) > 0 {
						one.Name = rule.ResourceNames[0]
					}
					want = append(want, one)
				}
			}
		}
	}
	got := ControllerRights()
	for _, all := range [][]Right{got, want} {
		slices.SortFunc(all, func(a, b Right) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	if !slices.Equal(got, want) {
		t.Errorf("asked for are\n%v\nand the manifests give\n%v", got, want)
	}
}

func TestLook_NothingCouldBeSeen(t *testing.T) {
	no := errors.New("you may not")
	f := Facts{Now: now, Controller: Service{Err: no}, BalancersErr: no, PodsErr: no, LeasesErr: no, AuthorityErr: no, RightsErr: no, PoliciesErr: no, ApplicationsErr: no}
	unseen := 0
	for _, one := range Look(f) {
		if one.Level == Unseen {
			unseen++
		}
	}
	if unseen < 8 {
		t.Errorf("%+v", Look(f))
	}
}

func TestLook_ManyApplicationsAreCounted(t *testing.T) {
	f := well()
	for i := range 50 {
		f.Applications = append(f.Applications, Application{Name: fmt.Sprint("a/", i), Troubles: []string{"x"}})
	}
	all := applications(f)
	if len(all) != shownApplications+1 || all[len(all)-1].Says != "30 more need attention" {
		t.Errorf("%+v", all[len(all)-1])
	}
}
