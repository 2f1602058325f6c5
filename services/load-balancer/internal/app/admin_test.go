package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

func TestAdmin_ShowsWhatIsKnown(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("fib", "/fib")
		r.State, r.Endpoints = autoscaler.ApplicationStateAwake, []autoscaler.Endpoint{ready("fib-1", pod(t, says("hello"))), starting("fib-2", unused)}
		routes[key("fib")] = r
	})
	b := boot(t, server.URL, nil)
	get(t, client(t), b.url+"/fib")

	s := b.state(t)
	if !s.Controller.Connected || s.Controller.RoutesVersion == nil || *s.Controller.RoutesVersion != "k3x9.1" || len(s.Applications) != 1 {
		t.Fatalf("state = %+v", s)
	}
	a := s.Applications[0]
	if a.Deployment != "fib" || a.State != "Awake" || a.ApiPrefix != "/fib" || len(a.Endpoints) != 2 || !a.Endpoints[0].Usable || a.Endpoints[1].Usable {
		t.Errorf("application = %+v", a)
	}
	for path, want := range map[string]int{
		"/loadbalancer/state?namespace=default": 200, "/loadbalancer/state?namespace=UPPER": 400, "/nothing": 404, "/healthz": 200, "/metrics": 200,
	} {
		r, body := get(t, client(t), b.admin+path)
		if r.StatusCode != want {
			t.Errorf("%s: %s %s", path, r.Status, body)
		}
		if want >= 400 && r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: Content-Type %q", path, r.Header.Get("Content-Type"))
		}
	}
	b.counts(t, `nemesis_lb_requests_total{code="2xx",deployment="fib",namespace="default"} 1`,
		`nemesis_lb_endpoints{deployment="fib",namespace="default",usable="true"} 1`,
		`nemesis_lb_waiting{deployment="fib",namespace="default"} 0`,
		`nemesis_lb_controller_connected 1`)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) { delete(routes, key("fib")) })
	testwait.Until(t, "the labels of a removed application go", func() bool {
		_, metrics := get(t, client(t), b.admin+"/metrics")
		return !strings.Contains(metrics, `deployment="fib"`)
	})
}

func TestReady_OnlyWithRoutes(t *testing.T) {
	controller, server := newFakeController(t)
	s, err := app.Load([]string{"-data-listen", "127.0.0.1:0", "-admin-listen", "127.0.0.1:0", "-controller-url", server.URL, "-lame-duck", "0s", "-log-spool-dir", t.TempDir(), "-authentication", "optional"}, nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := run(t, s)
	if r, body := get(t, client(t), b.admin+"/readyz"); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "routes") {
		t.Errorf("without routes: %s %s", r.Status, body)
	}
	controller.edit(func(map[autoscaler.ApplicationKey]autoscaler.Route) {})
	testwait.Until(t, "ready", func() bool { r, _ := get(t, client(t), b.admin+"/readyz"); return r.StatusCode == http.StatusOK })
}

func TestSettings_RefuseALogThatWouldTellTooMuch(t *testing.T) {
	_, err := app.Load([]string{"-log-sample", "default/shop=2", "-log-request-headers", "accept,Authorization", "-log-query-parameters", "a=b"},
		[]string{"NEMESIS_LOG_RESPONSE_HEADERS=Set-Cookie"}, io.Discard)
	for _, part := range []string{
		`log-sample: "default/shop=2" is not allowed`, `log-request-headers: "authorization" is not allowed`,
		`log-response-headers: "set-cookie" is not allowed`, `log-query-parameters: "a=b" is not allowed`,
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("missing %q in: %v", part, err)
		}
	}
}

func TestSettings_NameEveryFaultAtOnce(t *testing.T) {
	_, err := app.Load([]string{"-controller-url", "ftp://x", "-trusted-proxies", "10.0.0.0/99", "-drain-timeout", "0s", "-forget-after", "20500ms"}, []string{"NEMESIS_MAX_BODY_MIB=-1"}, io.Discard)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"controller-url", "trusted-proxies", "drain-timeout", "NEMESIS_MAX_BODY_MIB", "forget-after: 20.5s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	for _, forget := range []string{"14s", "61s"} { // the controller's contract, and what the others keep in mind
		if _, err := app.Load([]string{"-forget-after", forget}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "forget-after") {
			t.Errorf("to be forgotten after %s: %v", forget, err)
		}
	}
	s, err := app.Load(nil, []string{"POD_NAME=lb-7"}, io.Discard)
	if err != nil || s.Identity != "lb-7" || s.DataListen != ":8080" || s.ForgetAfter != time.Minute {
		t.Errorf("defaults = %+v, %v", s, err)
	}
}
