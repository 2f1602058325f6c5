package httpapi

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

type book struct{ lines []Change }

func (b *book) Changed(_ context.Context, c Change) { b.lines = append(b.lines, c) }

func TestAudit_EachChangeIsALineOfWhoAndWhat(t *testing.T) {
	p, kept := guarding(mayAll("update/settings ", "get/settings ")), &book{}
	p.audit, p.version = kept, 7
	p.kept = &fleet.BalancerSettings{Policy: "random", MaxConnections: 10, Timeout: time.Minute, Version: 7}
	h := p.handler(t)
	jane := []string{"Authorization", "Bearer jane"}
	do(h, "GET", settingsPath, "", jane...)
	do(h, "GET", objectsPath, "", jane...)
	do(h, "PUT", settingsPath, `{"policy":"unknown"}`, jane...) // nothing was asked for that could be
	do(h, "PUT", settingsPath, `{"policy":"round_robin","max_connections":20,"timeout_seconds":30}`, "Authorization", "Bearer "+podToken)
	do(h, "POST", start, `{"balancer":"lb","waiting":1}`, "Authorization", "Bearer "+lbToken)
	status, body := p.status, p.answer
	p.status, p.answer = 401, `{"message":"Unauthorized"}`
	do(h, "DELETE", objectsPath+"/fib", "", "Authorization", "Bearer nonsense")
	p.status, p.answer, p.err = status, body, fault.New(fault.Unauthenticated, "send your Kubernetes token")
	do(h, "DELETE", objectsPath+"/fib", "")
	p.err = nil
	if len(kept.lines) != 0 {
		t.Errorf("what changes nothing, or was not let in, is written down: %+v", kept.lines)
	}
	do(h, "PUT", settingsPath, `{"policy":"round_robin","max_connections":20,"timeout_seconds":30}`, jane...)
	p.keeping = fault.New(fault.Unavailable, "the API server is away")
	do(h, "PUT", settingsPath, `{"policy":"random"}`, jane...)
	do(h, "DELETE", objectsPath+"/fib", "", "Nemesis-Authorization", "Bearer olga")
	p.status, p.answer = 403, `{"message":"olga cannot create"}`
	do(h, "POST", objectsPath, `{}`, "Authorization", "Bearer olga")
	p.err = fault.New(fault.Unavailable, "away").Because(errors.New("refused"))
	do(h, "PUT", objectsPath+"/fib", `{}`, "Authorization", "Bearer nonsense")
	old, made := settingsOf{"random", 10, 60, 7}, settingsOf{"round_robin", 20, 30, 8}
	if diff := cmp.Diff([]Change{
		{Who: "jane", Operation: "putBalancerSettings", Resource: "loadbalancer/settings", Status: 200, Before: old, After: made},
		{Who: "jane", Operation: "putBalancerSettings", Resource: "loadbalancer/settings", Status: 503, Before: made},
		{Who: "olga", Operation: "deleteCustomAutoscaler", Resource: "customautoscalers/default/fib", Status: 200},
		{Who: "olga", Operation: "createCustomAutoscaler", Resource: "customautoscalers/default", Status: 403},
		{Who: "unknown", Operation: "replaceCustomAutoscaler", Resource: "customautoscalers/default/fib", Status: 503},
	}, kept.lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
