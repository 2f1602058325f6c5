package loadbalancer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

// Change what every load balancer follows: read the settings, change one, put them back. What is
// left out takes its default, so start from what is there.
func Example() {
	client, end := connect()
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	read, err := client.GetSettingsWithResponse(ctx)
	if err != nil {
		fmt.Println(err) // no answer at all: the network, or ctx
		return
	}
	if read.JSON200 == nil {
		fmt.Println(read.Status(), string(read.Body))
		return
	}
	settings := *read.JSON200
	settings.Policy = new(common.LeastConnections)

	put, err := client.PutSettingsWithResponse(ctx, settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(put.StatusCode(), *put.JSON200.Policy, *put.JSON200.MaxConnections)
	// Output: 200 least_connections 10000
}

// A bad value changes nothing, and the problem document names it. Body has it whatever the status
// code is.
func ExampleClientWithResponses_PutSettingsWithResponse_refused() {
	client, end := connect()
	defer end()

	put, err := client.PutSettingsWithResponse(context.Background(), common.BalancerSettings{MaxConnections: new(int32(0))})
	if err != nil {
		fmt.Println(err)
		return
	}
	var problem common.Problem
	if put.ContentType() == "application/problem+json" && json.Unmarshal(put.Body, &problem) == nil {
		fmt.Println(problem.Status, problem.Code)
		if problem.Errors != nil {
			for _, e := range *problem.Errors {
				fmt.Println(e.Field, "→", e.Allowed)
			}
		}
		if problem.RetryAfterSeconds != nil {
			fmt.Println("try again in", *problem.RetryAfterSeconds, "s")
		}
	}
	// Output:
	// 400 invalid
	// max_connections → from 1 to 1000000
}

// Send one request to an application, as its clients would. A sleeping application is woken first,
// so the context should live as long as its wakeUpTimeout. JSON200 is the application's answer,
// whose own status is in it.
func ExampleClientWithResponses_ProxyRequestWithResponse() {
	client, end := connect()
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	for _, target := range []string{"/fibonacci/fib/30", "http://example.com/"} {
		answer, err := client.ProxyRequestWithResponse(ctx, loadbalancer.ProxyRequest{TargetUrl: target})
		if err != nil {
			fmt.Println(err)
			return
		}
		if answer.JSON200 == nil {
			fmt.Println("refused:", answer.StatusCode())
			continue
		}
		fmt.Println(answer.JSON200.Status, answer.JSON200.Data)
	}
	// Output:
	// 200 map[n:30 result:832040]
	// refused: 403
}

// Read the log of what was proxied, page by page, newest first.
func ExampleClientWithResponses_ListProxyLogsWithResponse() {
	client, end := connect()
	defer end()

	params := loadbalancer.ListProxyLogsParams{Status: new("5xx"), Limit: new(1)}
	for {
		page, err := client.ListProxyLogsWithResponse(context.Background(), &params)
		if err != nil {
			fmt.Println(err)
			return
		}
		if page.JSON200 == nil {
			fmt.Println(page.Status(), string(page.Body))
			return
		}
		for _, entry := range page.JSON200.Items {
			fmt.Println(entry.HttpMethod, entry.TargetUrl, entry.Status)
		}
		if params.After = page.JSON200.Next; params.After == nil {
			break
		}
	}
	// Output:
	// GET http://10.88.0.17:5001/fib/30 503
	// GET http://10.88.0.17:5001/fib/29 502
}

// balancer stands in for the real one: it implements those operations of the strict server that
// the examples call. Another one would panic on the nil interface, and say so.
type balancer struct {
	loadbalancer.StrictServerInterface
	settings common.BalancerSettings
}

// connect starts a balancer with the default settings, and a client of it.
func connect() (*loadbalancer.ClientWithResponses, func()) {
	b := &balancer{settings: common.BalancerSettings{
		Policy: new(common.RoundRobin), MaxConnections: new(int32(10000)), TimeoutSeconds: new(int32(600)),
	}}
	server := httptest.NewServer(loadbalancer.Handler(loadbalancer.NewStrictHandler(b, nil)))
	client, err := loadbalancer.NewClientWithResponses(server.URL)
	if err != nil {
		panic(err)
	}
	return client, server.Close
}

func (b *balancer) GetSettings(context.Context, loadbalancer.GetSettingsRequestObject) (loadbalancer.GetSettingsResponseObject, error) {
	return loadbalancer.GetSettings200JSONResponse(b.settings), nil
}

func (b *balancer) PutSettings(_ context.Context, in loadbalancer.PutSettingsRequestObject) (loadbalancer.PutSettingsResponseObject, error) {
	if n := in.Body.MaxConnections; n != nil && *n < 1 {
		return loadbalancer.PutSettings400ApplicationProblemPlusJSONResponse{
			BadRequestApplicationProblemPlusJSONResponse: loadbalancer.BadRequestApplicationProblemPlusJSONResponse{
				Type: "urn:nemesis:problem:invalid", Title: "The request is not valid", Status: http.StatusBadRequest, Code: "invalid",
				Errors: &[]common.FieldError{{Field: "max_connections", Allowed: "from 1 to 1000000"}},
			},
		}, nil
	}
	b.settings = *in.Body
	return loadbalancer.PutSettings200JSONResponse(b.settings), nil
}

func (b *balancer) ProxyRequest(_ context.Context, in loadbalancer.ProxyRequestRequestObject) (loadbalancer.ProxyRequestResponseObject, error) {
	if !strings.HasPrefix(in.Body.TargetUrl, "/fibonacci/") {
		return loadbalancer.ProxyRequest403ApplicationProblemPlusJSONResponse{}, nil
	}
	return loadbalancer.ProxyRequest200JSONResponse{Status: http.StatusOK, Data: map[string]any{"n": 30, "result": 832040}}, nil
}

func (b *balancer) ListProxyLogs(_ context.Context, in loadbalancer.ListProxyLogsRequestObject) (loadbalancer.ListProxyLogsResponseObject, error) {
	if in.Params.After == nil {
		return loadbalancer.ListProxyLogs200JSONResponse{Items: entry("/fib/30", http.StatusServiceUnavailable), Next: new("older")}, nil
	}
	return loadbalancer.ListProxyLogs200JSONResponse{Items: entry("/fib/29", http.StatusBadGateway)}, nil
}

func entry(path string, status int32) []loadbalancer.ProxyLog {
	return []loadbalancer.ProxyLog{{HttpMethod: http.MethodGet, TargetUrl: "http://10.88.0.17:5001" + path, Status: status}}
}
