package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

func TestPaths_ArriveAsTheyWereSentAndAnswersGetThePrefix(t *testing.T) {
	no := false
	for name, test := range map[string]struct {
		change   func(*autoscaler.Route)
		path     string // at the pod
		prefix   string // that the pod is told
		location string
		cookies  []string
	}{
		"by default":                 {nil, "/a%2Fb//c", "/fib", "/fib/login", []string{"a=b; Path=/fib", "c=d"}},
		"answers as they are":        {func(r *autoscaler.Route) { r.RewriteAnswers = &no }, "/a%2Fb//c", "/fib", "/login", []string{"a=b; Path=/", "c=d"}},
		"the pod has the whole path": {func(r *autoscaler.Route) { r.StripPrefix = &no }, "/fib/a%2Fb//c", "", "/login", []string{"a=b; Path=/", "c=d"}},
	} {
		t.Run(name, func(t *testing.T) {
			controller, server := newFakeController(t)
			pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // a mux would change the path
				w.Header().Set("Location", "/login")
				w.Header()["Set-Cookie"] = []string{"a=b; Path=/", "c=d"}
				fmt.Fprintf(w, "%s %s", r.RequestURI, r.Header.Get("X-Forwarded-Prefix"))
			}))
			t.Cleanup(pod.Close)
			sleeps(controller, "fib", "/fib", pod.Listener.Addr().String(), test.change)()
			b := boot(t, server.URL, nil)
			r, err := http.NewRequest(http.MethodGet, b.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Opaque = "/fib/a%2Fb//c"
			answer, err := client(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			body := make([]byte, 100)
			n, _ := answer.Body.Read(body)
			if got, want := string(body[:n]), test.path+" "+test.prefix; got != want {
				t.Errorf("the pod saw %q, want %q", got, want)
			}
			if got := answer.Header.Get("Location"); got != test.location || !slices.Equal(answer.Header["Set-Cookie"], test.cookies) {
				t.Errorf("Location %q, Set-Cookie %q", got, answer.Header["Set-Cookie"])
			}
		})
	}
}

func TestRefusal_SaysWhetherItMayBeSentAgain(t *testing.T) {
	controller, server := newFakeController(t)
	awake(controller, "broken", "/broken", pod(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })))
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		r := route("none", "/none")
		r.WakeUpTimeoutSeconds = 1
		routes[key("none")] = r
	})
	b := boot(t, server.URL, nil)
	for path, want := range map[string]string{"/broken": "false", "/none": ""} {
		r, err := client(t).Post(b.url+path, "text/plain", strings.NewReader("work"))
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if got := r.Header.Get("X-Should-Retry"); got != want || r.StatusCode < 500 {
			t.Errorf("%s: %s, X-Should-Retry %q, want %q", path, r.Status, got, want)
		}
	}
}
