package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/pkg/shard"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

type claimed []fleet.RefusedClaim

func (c claimed) RefusedClaims() []fleet.RefusedClaim { return append([]fleet.RefusedClaim(nil), c...) }

// refusedIn is a claim of a namespace that another one keeps.
func refusedIn(namespace, deployment, autoscaler, by string) fleet.RefusedClaim {
	return fleet.RefusedClaim{
		Of: fleet.Autoscaler{Namespace: namespace, Name: autoscaler}, Deployment: deployment, Prefix: "/x", Hosts: []string{"h"},
		Text: deployment + ": apiPrefix /x is another's", Foreign: true, By: fleet.Autoscaler{Namespace: by, Name: "holder"},
	}
}

// told are the refused claims of an answer: NAMESPACE/DEPLOYMENT of CustomAutoscaler, and who has it.
func refusals(t *testing.T, body []byte) (beside, with []string) {
	t.Helper()
	type claim struct {
		Namespace, Deployment, Autoscaler, Reason string
		HeldBy                                    *struct{ Namespace, Autoscaler string }
	}
	var list struct {
		Items []struct {
			Namespace, Deployment string
			RefusedClaims         []claim
		}
		RefusedClaims []claim
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	words := func(c claim) string {
		text := c.Namespace + "/" + c.Deployment + " of " + c.Autoscaler + " " + c.Reason
		if c.HeldBy != nil {
			text += " by " + c.HeldBy.Namespace + "/" + c.HeldBy.Autoscaler
		}
		return text
	}
	for _, c := range list.RefusedClaims {
		beside = append(beside, words(c))
	}
	for _, i := range list.Items {
		for _, c := range i.RefusedClaims {
			with = append(with, i.Namespace+"/"+i.Deployment+": "+words(c))
		}
	}
	return beside, with
}

func TestListApplications_SaysWhatIsRefusedAndByWhomToWhoMaySeeThat(t *testing.T) {
	k := fleet.Key{Namespace: "ns-1", Deployment: "app-01"} // which ca-1 has
	own := refusedIn("ns-1", "app-01", "ca-1", "ns-3")
	all := claimed{
		own, refusedIn("ns-1", "app-01", "late", "ns-1"), refusedIn("ns-1", "given", "lost", ""), refusedIn("ns-1", "nothing", "lost", "ns-2"), refusedIn("ns-2", "nothing", "lost", "ns-1"),
	}
	all[1].Foreign = false
	all[2].By = fleet.Autoscaler{} // a ClaimPolicy has given it to others
	for _, c := range []struct {
		query        string
		rights       []string
		beside, with []string
	}{
		{"", []string{"list/ ns-1"}, []string{
			"ns-1/app-01 of late RouteConflict by ns-1/holder", "ns-1/given of lost ClaimRefused", "ns-1/nothing of lost ClaimRefused",
		}, []string{"ns-1/app-01: ns-1/app-01 of ca-1 ClaimRefused"}},
		{"?namespace=ns-1", []string{"list/ ns-1", "list/ ns-2"}, []string{
			"ns-1/app-01 of late RouteConflict by ns-1/holder", "ns-1/given of lost ClaimRefused", "ns-1/nothing of lost ClaimRefused by ns-2/holder",
		}, []string{"ns-1/app-01: ns-1/app-01 of ca-1 ClaimRefused"}},
		{"", []string{"list/ "}, []string{
			"ns-1/app-01 of late RouteConflict by ns-1/holder", "ns-1/given of lost ClaimRefused", "ns-1/nothing of lost ClaimRefused by ns-2/holder", "ns-2/nothing of lost ClaimRefused by ns-1/holder",
		}, []string{"ns-1/app-01: ns-1/app-01 of ca-1 ClaimRefused by ns-3/holder"}},
		{"?deployment=nothing", []string{"list/ ns-1"}, []string{"ns-1/nothing of lost ClaimRefused"}, nil},
		{"?fieldSelector=state%3DAwake", []string{"list/ ns-1"}, nil, []string{"ns-1/app-01: ns-1/app-01 of ca-1 ClaimRefused"}},
		{"", []string{"list/ ns-3"}, nil, nil},
	} {
		list := make([]*desk, three)
		one := populated(guarding(mayAll(c.rights...)), func(string) bool { return true })
		for i := range list {
			list[i] = &desk{parts: populated(newParts(), func(namespace string) bool { return shard.Of(namespace, three) == i })}
		}
		elsewhere := guarding(mayAll(c.rights...))
		one.claims, elsewhere.claims = all, all
		for _, f := range []*fleet.Fleet{one.fleet, list[shard.Of("ns-1", three)].fleet} {
			v, _ := f.View(k, time.Now())
			v.Observation.Refused = []fleet.RefusedClaim{own}
			f.Observe(v.Observation, time.Now())
		}
		for name, h := range map[string]http.Handler{"one": one.handler(t), "shards": front(t, list, elsewhere)} {
			w := do(h, "GET", "/v1/applications"+c.query, "", "Authorization", "Bearer jane")
			if w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			fits(t, w, "ApplicationList")
			beside, with := refusals(t, w.Body.Bytes())
			if diff := cmp.Diff([][]string{c.beside, c.with}, [][]string{beside, with}); diff != "" {
				t.Errorf("%s, %q with %v (-want +got):\n%s", name, c.query, c.rights, diff)
			}
		}
	}
}

func TestListApplications_RefusedClaimsAreOnTheFirstPageAndBounded(t *testing.T) {
	p := populated(newParts(), func(string) bool { return true })
	var all claimed
	for i := range refusedOfAll + 5 {
		all = append(all, refusedIn("ns-1", fmt.Sprintf("lost-%04d", i), "lost", fmt.Sprint("other-", i)))
	}
	p.claims = all
	h := p.handler(t)
	w := do(h, "GET", "/v1/applications?limit=3", "")
	fits(t, w, "ApplicationList")
	if beside, _ := refusals(t, w.Body.Bytes()); len(beside) != refusedOfAll {
		t.Errorf("%d on the first page", len(beside))
	}
	var page struct{ Metadata struct{ Continue string } }
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	w = do(h, "GET", "/v1/applications?limit=3&continue="+page.Metadata.Continue, "")
	if beside, _ := refusals(t, w.Body.Bytes()); w.Code != http.StatusOK || len(beside) != 0 {
		t.Errorf("%d on the second page: %d", len(beside), w.Code)
	}
}

// So many questions cost one call at the most.
func TestHolders_AreAskedForSoOften(t *testing.T) {
	asked := 0
	h := &holders{func(string) bool { asked++; return true }, map[string]bool{}}
	var all []fleet.RefusedClaim
	for i := range 2 * mostHolders {
		one := refusedIn("ns", "app", "ca", fmt.Sprint("other-", i))
		all = append(all, one, one)
	}
	named := 0
	for _, c := range *h.claims(all, len(all)) {
		if c.HeldBy != nil {
			named++
		}
	}
	if asked != mostHolders || named != 2*mostHolders {
		t.Errorf("%d were asked, %d named", asked, named)
	}
}

func TestGetApplication_SaysWhyADeploymentIsNone(t *testing.T) {
	p := guarding(mayAll("get/ default"))
	p.claims = claimed{refusedIn("default", "lost", "mine", "shop")}
	h := p.handler(t)
	for _, path := range []string{"/v1/applications/default/lost", "/v1/applications/default/lost/history"} {
		w := do(h, "GET", path, "", "Authorization", "Bearer jane")
		fits(t, w, "Problem")
		if said := w.Body.String(); w.Code != http.StatusNotFound || !strings.Contains(said, "the CustomAutoscaler mine asks for it and is refused: lost: apiPrefix /x") || strings.Contains(said, "shop") {
			t.Errorf("%s: %d %s", path, w.Code, said)
		}
	}
	if w := do(h, "GET", "/v1/applications/default/else", "", "Authorization", "Bearer jane"); !strings.Contains(w.Body.String(), "no CustomAutoscaler names the Deployment default/else") {
		t.Errorf("%s", w.Body)
	}
}
