package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

func TestShare_OneSleepingApplicationDoesNotFillTheFrontDoor(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "blog", "/blog", pod(t, says("hello")))
	wakes := sleeps(controller, "fib", "/fib", pod(t, says("woken")), nil)
	most := int32(8)
	controller.set(common.BalancerSettings{MaxConnections: &most})
	b := boot(t, server.URL, nil)
	testwait.Until(t, "the settings are followed", func() bool {
		_, m := get(t, client(t), b.admin+"/metrics")
		return strings.Contains(m, "nemesis_lb_connections_max 8")
	})

	answers := make(chan string, most)
	waiting := func(n int32) {
		t.Helper()
		go func() {
			_, body := get(t, client(t), b.url+"/fib/1")
			answers <- body
		}()
		testwait.Until(t, "it waits", func() bool {
			for _, a := range b.state(t).Applications {
				if a.Deployment == "fib" {
					return a.Waiting == n
				}
			}
			return false
		})
	}
	for n := range int32(5) { // the fifth is more than half, but there is room enough still
		waiting(n + 1)
	}
	refused, body := get(t, client(t), b.url+"/fib/1")
	if refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" || !refused.Close || !strings.Contains(body, "others would find none") {
		t.Errorf("the sixth: %s %q %s", refused.Status, refused.Header, body)
	}
	for range 3 {
		testwait.Until(t, "those who wait are alone", func() bool { return *b.state(t).Connections == 5 })
		c := client(t)
		if r, body := get(t, c, b.url+"/blog/1"); body != "hello" {
			t.Errorf("another application: %s %s", r.Status, body)
		}
		c.CloseIdleConnections()
	}
	if _, metrics := get(t, client(t), b.admin+"/metrics"); !strings.Contains(metrics, `nemesis_lb_rejected_total{deployment="fib",namespace="default",reason="share"} 1`) {
		t.Error("the refusal is not counted")
	}
	wakes()
	for range 5 {
		if body := <-answers; body != "woken" {
			t.Errorf("who waited got %q", body)
		}
	}
}
