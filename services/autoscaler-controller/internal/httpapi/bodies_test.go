package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// blank is a body of so many bytes of a text, whose length is not declared.
type blank struct{ io.Reader }

func post(h http.Handler, target string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, body)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestBodies_EachOperationHasABoundThatFits(t *testing.T) {
	const object = "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/default/customautoscalers"
	for target, most := range map[string]int{
		"/metrics": 16 << 10, "/v1/pod-metrics": 512 << 10, "/v1/traffic": 8 << 20, "/v1/loadbalancer/settings": 64 << 10,
		"/v1/namespaces/default/deployments/fib/start": 16 << 10, object: 3 << 20, "/v1/later": 64 << 10,
		"/v1/access": 128 << 10,
	} {
		t.Run(target, func(t *testing.T) {
			var got int
			p := newParts()
			b := newBodies(p, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got = len(body)
			}))
			text := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
			for name, body := range map[string]io.Reader{"declared": strings.NewReader(text(most)), "not declared": blank{strings.NewReader(text(most))}} {
				if w := post(b, target, body); w.Code != 200 || got != most {
					t.Errorf("%s: status %d, %d bytes: %s", name, w.Code, got, w.Body)
				}
			}
			got = 0
			for name, body := range map[string]io.Reader{"declared": strings.NewReader(text(most + 1)), "not declared": blank{strings.NewReader(text(most + 1))}} {
				w := post(b, target, body)
				if w.Code != http.StatusRequestEntityTooLarge || got != 0 {
					t.Errorf("%s: status %d, %d bytes came through", name, w.Code, got)
				}
				fits(t, w, "Problem")
			}
			if used := b.pushes.used.Load() + b.reports.used.Load() + b.others.used.Load(); used != 0 {
				t.Errorf("%d bytes were not given back", used)
			}
		})
	}
}

func TestBodies_TogetherAreBoundedAndPushesTakeNobodyElsesShare(t *testing.T) {
	p := newParts()
	entered, leave := make(chan struct{}), make(chan struct{})
	b := newBodies(p, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Wait") != "" {
			entered <- struct{}{}
			<-leave
		}
	}))
	b.pushes.most = 10
	waits := httptest.NewRequest(http.MethodPost, pushPath, strings.NewReader(`"1234567"`))
	waits.Header.Set("Wait", "1")
	done := make(chan struct{})
	go func() { b.ServeHTTP(httptest.NewRecorder(), waits); close(done) }()
	<-entered
	w := post(b, pushPath, strings.NewReader(`"23"`))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	fits(t, w, "Problem")
	if w := post(b, "/v1/traffic", strings.NewReader(`{}`)); w.Code != 200 {
		t.Errorf("a report: status %d", w.Code)
	}
	close(leave)
	<-done
	if w := post(b, pushPath, strings.NewReader(`"23"`)); w.Code != 200 {
		t.Errorf("afterwards: status %d", w.Code)
	}
	if diff := cmp.Diff([]BodyFault{BodyTooMany}, p.refused); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestBodies_OfCustomResourcesArePassedOnAsTheyAre(t *testing.T) {
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	p := newParts()
	p.status = 201
	w := do(p.handler(t), "POST", "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/default/customautoscalers", deep, "Authorization", "Bearer x")
	if w.Code != 201 || p.sent != deep {
		t.Errorf("status %d, passed on %q", w.Code, p.sent)
	}
}

func TestBodies_WhatIsNotPlainIsRefusedBeforeItIsParsed(t *testing.T) {
	for _, target := range []string{"/metrics", "/v1/pod-metrics", "/v1/traffic", "/v1/namespaces/default/deployments/fib/start"} {
		p := newParts()
		w := do(p.handler(t), "POST", target, `{"waiting":`+strings.Repeat("1", 100)+`}`)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "numbers of at most 64 characters") || len(p.refused) != 1 {
			t.Errorf("%s: status %d: %s", target, w.Code, w.Body)
		}
		fits(t, w, "Problem")
	}
}

// Who is not judged, since there is no such operation or since the API server does it, has a share of its own: with that
// of the start calls one could keep every application asleep, without a token.
func TestBodies_StrangersTakeNobodyElsesShare(t *testing.T) {
	const object = "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/default/customautoscalers"
	entered, leave := make(chan struct{}), make(chan struct{})
	b := newBodies(newParts(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Wait") != "" {
			entered <- struct{}{}
			<-leave
		}
	}))
	b.judged, b.pushes.most, b.reports.most, b.others.most, b.strangers.most = true, 10, 10, 10, 50
	send := func(target, operation string, wait bool) int {
		r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(`"1234567"`))
		if wait {
			r.Header.Set("Wait", "1")
		}
		if operation != "" {
			r = r.WithContext(guard.With(r.Context(), operation, guard.Grant{}))
		}
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		return w.Code
	}
	var strangers sync.WaitGroup
	for _, target := range []string{object, "/v1/later", "/v1/tr%61ffic", "/v1/namespaces/a%2Fb/start", "/metric%73"} {
		operation := ""
		if target == object {
			operation = "createCustomAutoscaler"
		}
		strangers.Go(func() { send(target, operation, true) })
		<-entered
	}
	if status := send("/v1/later", "", false); status != http.StatusTooManyRequests {
		t.Errorf("one stranger more: %d", status)
	}
	for operation, target := range map[string]string{
		"startApplication": start, "reportTraffic": "/v1/traffic", "reviewAccess": "/v1/access", "submitPodMetrics": pushPath,
	} {
		if status := send(target, operation, false); status != http.StatusOK {
			t.Errorf("%s: %d", operation, status)
		}
	}
	close(leave)
	strangers.Wait()
}

// The largest question that the contract allows comes through: a load balancer asks about a thousand namespaces at once.
func TestBodies_TheLargestReviewFits(t *testing.T) {
	names := strings.Repeat(`"`+strings.Repeat("n", 63)+`",`, 1000)
	body := `{"token":"` + strings.Repeat("t", 16384) + `","verb":"list","resource":"customautoscalers/state","namespaces":[` + strings.TrimSuffix(names, ",") + `]}`
	if w := do(guarding(mayAll()).handler(t), "POST", "/v1/access", body, "Authorization", "Bearer "+lbToken); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
