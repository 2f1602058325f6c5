package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/control/tuning"
)

// api is the generated client of the admin port.
func (b *balancer) api(t *testing.T) *loadbalancer.ClientWithResponses {
	t.Helper()
	c, err := loadbalancer.NewClientWithResponses(b.admin, loadbalancer.WithHTTPClient(client(t)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func settings(policy common.BalancingPolicy, connections, timeout int32) common.BalancerSettings {
	return common.BalancerSettings{Policy: &policy, MaxConnections: &connections, TimeoutSeconds: &timeout}
}

// follows is what a load balancer says that it follows.
func (b *balancer) follows(t *testing.T) common.BalancerSettings {
	t.Helper()
	answer, err := b.api(t).GetSettingsWithResponse(t.Context())
	if err != nil || answer.JSON200 == nil {
		t.Fatalf("GET settings: %v %s", err, answer.Body)
	}
	if diff := cmp.Diff(*answer.JSON200, b.state(t).Settings); diff != "" {
		t.Errorf("the settings and those of the state differ: %s", diff)
	}
	return *answer.JSON200
}

func (b *balancer) put(t *testing.T, s common.BalancerSettings) *loadbalancer.PutSettingsResponse {
	t.Helper()
	answer, err := b.api(t).PutSettingsWithResponse(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (b *balancer) awaitSettings(t *testing.T, want common.BalancerSettings) {
	t.Helper()
	// By the state alone: two answers of which the one is from before a change would differ.
	testwait.Until(t, "the settings are followed", func() bool { return cmp.Equal(b.state(t).Settings, want) })
}

func TestSettings_DefaultsAreTheContracts(t *testing.T) {
	spec, err := loadbalancer.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	properties := spec.Components.Schemas["State"].Value.Properties["settings"].Value.Properties
	d := tuning.Defaults()
	for name, want := range map[string]any{
		"policy": d.Policy, "max_connections": float64(d.MaxConnections), "timeout_seconds": d.Timeout.Seconds(),
	} {
		if got := properties[name].Value.Default; got != want {
			t.Errorf("%s: the contract's default is %v, ours %v", name, got, want)
		}
	}
	_, server := newFakeControllerWithRoutes(t)
	if got := boot(t, server.URL, nil).follows(t); !cmp.Equal(got, settings("least_connections", 10_000, 600)) {
		t.Errorf("with nothing set %+v is followed", got)
	}
}

func TestSettings_AreChangedForEveryReplicaAndSurviveARestart(t *testing.T) {
	controller, server := newFakeControllerWithRoutes(t)
	first, second := boot(t, server.URL, nil), boot(t, server.URL, nil)
	want := settings("least_connections", 77, 7)
	answer := first.put(t, want)
	if answer.JSON200 == nil || !cmp.Equal(*answer.JSON200, want) {
		t.Fatalf("PUT: %d %s", answer.StatusCode(), answer.Body)
	}
	if got := first.follows(t); !cmp.Equal(got, want) {
		t.Errorf("who was told follows %+v", got)
	}
	second.awaitSettings(t, want)
	if got := boot(t, server.URL, nil).follows(t); !cmp.Equal(got, want) {
		t.Errorf("one that starts after follows %+v", got)
	}

	controller.set(settings("random", 5, 5)) // through another replica
	first.awaitSettings(t, settings("random", 5, 5))

	if answer := first.put(t, common.BalancerSettings{}); answer.JSON200 == nil || !cmp.Equal(first.follows(t), settings("least_connections", 10_000, 600)) {
		t.Errorf("what is left out takes its default: %d %s", answer.StatusCode(), answer.Body)
	}
}

func TestSettings_ThatAreRefusedChangeNothing(t *testing.T) {
	controller, server := newFakeControllerWithRoutes(t)
	b := boot(t, server.URL, nil)
	before := b.follows(t)
	for body, field := range map[string]string{
		`{"max_connections": 0}`: "max_connections", `{"timeout_seconds": -5}`: "timeout_seconds", `{"policy": "fastest"}`: "policy",
		`{"max_connections": "many"}`: "max_connections", `{"max_conections": 5}`: "max_conections",
		`{"max_connections": 1e3}`: "max_connections", `{"timeout_seconds": 30.0}`: "timeout_seconds", `{"policy": random}`: "body",
	} {
		r, err := http.NewRequest(http.MethodPut, b.admin+"/loadbalancer/settings", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		problem := problemOf(t, r, http.StatusBadRequest, "invalid")
		if (*problem.Errors)[0].Field != field || (*problem.Errors)[0].Allowed == "" {
			t.Errorf("%s: %+v", body, *problem.Errors)
		}
	}
	if len(controller.puts) != 0 {
		t.Errorf("the controller was told %+v", controller.puts)
	}
	allowed := common.FieldError{Field: "max_connections", Value: new("9"), Allowed: "what the controller likes"}
	for name, c := range map[string]struct {
		status, want int
		problem      common.Problem
	}{
		"it says no":          {409, 409, common.Problem{Code: "conflict", Detail: new("not today"), Errors: &[]common.FieldError{allowed}}},
		"it cannot":           {503, 503, common.Problem{Code: "unavailable", Detail: new("no leader"), RetryAfterSeconds: new(3)}},
		"it fails":            {500, 503, common.Problem{Code: "internal"}},
		"with a code unknown": {400, 400, common.Problem{Code: "brand-new", Detail: new("no"), Errors: &[]common.FieldError{allowed}}},
	} {
		controller.onPut = func(common.BalancerSettings) autoscaler.PutBalancerSettingsResponseObject {
			c.problem.Status = c.status
			return autoscaler.PutBalancerSettingsdefaultApplicationProblemPlusJSONResponse{Body: c.problem, StatusCode: c.status}
		}
		answer := b.put(t, settings("random", 9, 9))
		var got common.Problem
		if err := json.Unmarshal(answer.Body, &got); err != nil || answer.StatusCode() != c.want || got.Status != c.want {
			t.Fatalf("%s: %d %s", name, answer.StatusCode(), answer.Body)
		}
		if detail := c.problem.Detail; detail != nil && !strings.Contains(*got.Detail, *detail) {
			t.Errorf("%s: detail %q", name, *got.Detail)
		}
		if c.problem.Errors != nil && !cmp.Equal(got.Errors, c.problem.Errors) {
			t.Errorf("%s: errors %+v", name, got.Errors)
		}
		if c.want == 503 && answer.HTTPResponse.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		if !cmp.Equal(b.follows(t), before) {
			t.Errorf("%s: %+v is followed", name, b.follows(t))
		}
	}
	server.Close()
	answer := b.put(t, settings("random", 9, 9))
	if answer.StatusCode() != 503 || !strings.Contains(string(answer.Body), "nothing was changed") || !cmp.Equal(b.follows(t), before) {
		t.Errorf("without a controller: %d %s", answer.StatusCode(), answer.Body)
	}
}

// During a rolling update some replicas of the controller are older than versions.
func TestSettings_OfAControllerOlderThanVersionsAreFollowedAsTheyCome(t *testing.T) {
	controller, server := newFakeControllerWithRoutes(t)
	versions := func(newest int64) {
		controller.mu.Lock()
		defer controller.mu.Unlock()
		controller.settingsVersion = newest
	}
	versions(0)
	b := boot(t, server.URL, nil)
	for i, version := range []int64{0, 70, 0, 70} { // the older ones are replaced, come back, and go for good
		versions(version)
		want := settings("random", int32(10+i), 3)
		if answer := b.put(t, want); answer.JSON200 == nil || !cmp.Equal(*answer.JSON200, want) {
			t.Fatalf("PUT: %d %s", answer.StatusCode(), answer.Body)
		}
		b.awaitSettings(t, want)
		another := settings("round_robin", int32(20+i), 4)
		controller.set(another)
		b.awaitSettings(t, another)
	}
}

// A replica of the controller that is behind answers the poll.
func TestSettings_OfAControllerThatIsBehindAreIgnored(t *testing.T) {
	controller, server := newFakeControllerWithRoutes(t)
	b := boot(t, server.URL, nil)
	want := settings("random", 3, 3)
	if answer := b.put(t, want); answer.JSON200 == nil {
		t.Fatalf("PUT: %d %s", answer.StatusCode(), answer.Body)
	}
	controller.mu.Lock()
	controller.onPoll = func(u *autoscaler.RoutesUpdate) {
		u.Settings, u.SettingsVersion = new(settings("round_robin", 9, 9)), new(int64(1))
	}
	controller.mu.Unlock()
	awake(controller, "app", "/app", pod(t, says("hello")))
	testwait.Until(t, "the route comes all the same", func() bool { return len(b.state(t).Applications) == 1 })
	if got := b.follows(t); !cmp.Equal(got, want) {
		t.Errorf("%+v is followed again", got)
	}
}

// The answer of a poll that was read before the change leaves the controller only after it.
func TestSettings_AnOlderPollDoesNotTakeThemBack(t *testing.T) {
	controller, server := newFakeControllerWithRoutes(t)
	b := boot(t, server.URL, nil)
	held, release := make(chan struct{}), make(chan struct{})
	controller.mu.Lock()
	once := make(chan struct{}, 1)
	once <- struct{}{}
	controller.onPoll = func(*autoscaler.RoutesUpdate) {
		select {
		case <-once: // the first one only
			close(held)
			<-release
		default:
		}
	}
	controller.mu.Unlock()
	awake(controller, "app", "/app", pod(t, says("hello"))) // something to tell: the poll is answered
	<-held
	want := settings("random", 3, 3)
	if answer := b.put(t, want); answer.JSON200 == nil {
		t.Fatalf("PUT: %d %s", answer.StatusCode(), answer.Body)
	}
	close(release)
	testwait.Until(t, "the route comes all the same", func() bool {
		if got := b.follows(t); !cmp.Equal(got, want) {
			t.Fatalf("%+v is followed again", got)
		}
		return len(b.state(t).Applications) == 1
	})
}

func TestPolicy_OfTheSettingsIsForWhoNamesNone(t *testing.T) {
	controller, server := newFakeController(t)
	controller.edit(func(routes map[autoscaler.ApplicationKey]autoscaler.Route) {
		for name, algorithm := range map[string]*autoscaler.LoadBalancingAlgorithm{"free": nil, "own": new(autoscaler.RoundRobin)} {
			r := route(name, "/"+name)
			r.State, r.Algorithm = autoscaler.ApplicationStateAwake, algorithm
			r.Endpoints = []autoscaler.Endpoint{ready("one", pod(t, says("one"))), ready("two", pod(t, says("two")))}
			routes[key(name)] = r
		}
	})
	b := boot(t, server.URL, nil)
	algorithms := func() string {
		var all []string
		for _, a := range b.state(t).Applications {
			all = append(all, a.Deployment+" "+a.Algorithm)
		}
		return strings.Join(all, ", ")
	}
	if got := algorithms(); got != "free LeastConnections, own RoundRobin" {
		t.Errorf("at first: %s", got)
	}
	b.put(t, settings("peak_ewma", 10, 10))
	if got := algorithms(); got != "free PeakEWMA, own RoundRobin" {
		t.Errorf("after the change: %s", got)
	}
	asked := 0
	for name, want := range map[string]string{"free": "answers sooner than another one", "own": "its turn"} {
		get(t, client(t), b.url+"/"+name)
		asked++
		b.logged(t, asked)
		if got := *b.logs(t, nil).Items[0].Policy; got != want {
			t.Errorf("a pod of %s was chosen because of %q, want %q", name, got, want)
		}
	}
}

// raw is one connection of a client.
type raw struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, b *balancer) raw {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(testwait.Deadline())
	return raw{c, bufio.NewReader(c)}
}

// begin sends a request and reads the head of its answer.
func (c raw) begin(t *testing.T, path string) *http.Response {
	t.Helper()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ask sends a request and reads its answer.
func (c raw) ask(t *testing.T) *http.Response {
	t.Helper()
	r := c.begin(t, "/app")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return r
}

func TestConnections_AtTheLimitIdleOnesGoAndBusyOnesStay(t *testing.T) {
	release := make(chan struct{})
	b, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			_ = http.NewResponseController(w).Flush() // the head says that the request is here
			<-release
		}
		_, _ = io.WriteString(w, "hello")
	})
	busy, idle := dial(t, b), dial(t, b)
	held := busy.begin(t, "/app/hold")
	if r := idle.ask(t); r.StatusCode != http.StatusOK {
		t.Fatalf("%s", r.Status)
	}
	if got := *b.state(t).Connections; got != 2 {
		t.Errorf("%d connections, want 2: the admin port's do not count", got)
	}
	b.put(t, settings("round_robin", 2, 60))
	refused := 0
	testwait.Until(t, "the idle one gives way", func() bool { // its client may have the answer before the server waits for the next request
		if dial(t, b).ask(t).StatusCode == http.StatusOK {
			return true
		}
		refused++
		return false
	})
	if _, err := idle.in.ReadByte(); err == nil {
		t.Error("the idle connection goes on")
	}

	b.put(t, settings("round_robin", 1, 60))
	var third raw
	var r *http.Response
	testwait.Until(t, "the one that came instead gives way", func() bool {
		third = dial(t, b)
		r = third.ask(t)
		refused++
		return *b.state(t).Connections == 1
	})
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != http.StatusServiceUnavailable || !r.Close || r.Header.Get("Retry-After") == "" || !strings.Contains(string(body), `"too-many-connections"`) {
		t.Errorf("one too many: %s, close %v, %s", r.Status, r.Close, body)
	}
	if _, err := third.in.ReadByte(); err == nil {
		t.Error("the connection of one too many goes on")
	}
	close(release)
	if text, err := io.ReadAll(held.Body); err != nil || string(text) != "hello" {
		t.Errorf("the busy connection: %q, %v", text, err)
	}
	b.counts(t, fmt.Sprintf(`nemesis_lb_connections_refused_total{how="told"} %d`, refused), "nemesis_lb_connections 1\n", "nemesis_lb_connections_max 1\n",
		fmt.Sprintf(`nemesis_lb_rejected_total{deployment="",namespace="",reason="too-many-connections"} %d`, refused))
	if r := busy.ask(t); r.StatusCode != http.StatusOK {
		t.Errorf("the connection that was busy: %s", r.Status)
	}
	_ = busy.Close()
	testwait.Until(t, "it is not counted any more", func() bool { return *b.state(t).Connections == 0 })
}

func TestTimeout_IsAboutSilenceAndChangesWithoutARestart(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	b, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/half":
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			fallthrough
		case "/silent":
			select {
			case <-end:
			case <-r.Context().Done():
			}
		case "/stream":
			ticker := time.NewTicker(300 * time.Millisecond) // a tenth of the timeout, so that a busy machine is not silent
			defer ticker.Stop()
			for range 11 { // longer than the timeout, as a whole
				<-ticker.C
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
			}
		}
	})
	b.put(t, settings("round_robin", 100, 1))
	c := client(t)
	if r, body := get(t, c, b.url+"/app/silent"); r.StatusCode != http.StatusGatewayTimeout || !strings.Contains(body, `"upstream-timeout"`) {
		t.Errorf("a pod without an answer: %s %s", r.Status, body)
	}
	r, err := c.Get(b.url + "/app/half")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r.Body); err == nil || string(text) != "half" {
		t.Errorf("a pod that falls silent: %q, %v, want the half and an error", text, err)
	}
	_ = r.Body.Close()
	b.put(t, settings("round_robin", 100, 3))
	if _, body := get(t, c, b.url+"/app/stream"); body != strings.Repeat("x", 11) {
		t.Errorf("a stream that goes on: %q", body)
	}
	b.counts(t, `kind="head-timeout",namespace="default"} 1`, `kind="silent",namespace="default"} 1`)
}
