package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/app"
)

// Clients of the data port may be anybody: what is refused tells them why, and not whose application it is or
// which pods it has, unless a setting says so. Who asks by the admin port is told all.
func TestNames_AreNotToldToClientsUnlessASettingSaysSo(t *testing.T) {
	const namespace, deployment, podName = "team-blue", "secret-app", "secret-app-7d4b9c-x2x4k"
	for _, c := range []struct {
		name   string
		route  func(r *autoscaler.Route)
		refuse string // the start
		status int
		says   string
		named  string // with the setting
	}{
		{
			"blocked", func(r *autoscaler.Route) {
				r.Blocked = &autoscaler.Blocked{Reason: "ImagePullBackOff", Message: "the pod " + podName + " in team-blue has no image registry/secret-app:1"}
			}, "", 503, "the application cannot start: ImagePullBackOff", "team-blue/secret-app cannot start: ImagePullBackOff: the pod " + podName,
		},
		{
			"refused", nil, "team-blue/secret-app is not started: it is paused (spec.mode)", 503,
			"the application cannot start: the application is not started: it is paused (spec.mode)", "team-blue/secret-app cannot start: StartRefused: team-blue/secret-app is not started",
		},
		{
			"too late", func(r *autoscaler.Route) {
				r.WakeUpTimeoutSeconds = 1
				r.Endpoints = []autoscaler.Endpoint{starting(podName, unused)}
			}, "", 503, "no pod of the application was free within", "no pod of team-blue/secret-app was free within",
		},
		{
			"a broken pod", func(r *autoscaler.Route) {
				r.State, r.WakeUpTimeoutSeconds = autoscaler.ApplicationStateAwake, 1
				r.Endpoints = []autoscaler.Endpoint{ready(podName, unused)}
			}, "", 503, "no pod of the application was free within", "no pod of team-blue/secret-app was free within",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			controller, server := newFakeController(t)
			controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
				r := route(deployment, "/secret")
				r.Namespace = namespace
				if c.route != nil {
					c.route(&r)
				}
				routes[autoscaler.ApplicationKey{Namespace: namespace, Deployment: deployment}] = r
			})
			controller.refusal = c.refuse
			for _, names := range []bool{false, true} {
				b := boot(t, server.URL, func(s *app.Settings) { s.NamesInRefusals = names })
				answer, body := get(t, client(t), b.url+"/secret/")
				whole := body
				for name, values := range answer.Header {
					whole += name + ": " + strings.Join(values, ",") + "\n"
				}
				told := strings.Contains(whole, namespace) || strings.Contains(whole, deployment) || strings.Contains(whole, unused)
				want := c.says
				if names {
					want = c.named
				}
				if answer.StatusCode != c.status || !strings.Contains(body, want) || told != names {
					t.Errorf("names %v: %s %s", names, answer.Status, body)
				}
				status, byAdmin := call(t, http.MethodPost, b.admin+"/proxy/request", "", `{"target_url":"/secret/"}`)
				if status != c.status || !strings.Contains(byAdmin, c.named) {
					t.Errorf("names %v, by the admin port: %d %s", names, status, byAdmin)
				}
			}
		})
	}
}
