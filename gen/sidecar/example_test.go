package sidecar_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/gen/sidecar"
)

// Ask a sidecar what its pod uses, and have it tell the controller at once. Each value may be
// missing; what could not be measured is no 0.
func Example() {
	client, end := connect(&pod{})
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	now, err := client.CollectNowWithResponse(ctx)
	if err != nil {
		fmt.Println(err) // no answer at all: the network, or ctx
		return
	}
	if now.JSON200 == nil {
		fmt.Println(now.Status(), string(now.Body))
		return
	}
	if cpu := now.JSON200.Metrics.CpuUsage; cpu != nil {
		fmt.Println("CPU:", *cpu, "millicores")
	}
	if now.JSON200.Metrics.ResponseTime == nil {
		fmt.Println("response time: nothing was answered since")
	}
	sent, err := client.SendNowWithResponse(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("sent:", sent.JSON200.Sent, "waiting:", sent.JSON200.Waiting)
	// Output:
	// CPU: 412.5 millicores
	// response time: nothing was answered since
	// sent: 1 waiting: 0
}

// While the controller is away nothing is lost: the sidecar keeps the values and says so. The
// problem document is in Body, whatever the status code is.
func ExampleClientWithResponses_SendNowWithResponse_refused() {
	client, end := connect(&pod{alone: true})
	defer end()

	sent, err := client.SendNowWithResponse(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	var problem common.Problem
	if sent.ContentType() == "application/problem+json" && json.Unmarshal(sent.Body, &problem) == nil {
		fmt.Println(problem.Status, problem.Code+":", *problem.Detail)
	}
	// Output: 502 bad-gateway: the controller does not answer; 3 measurements wait
}

// pod stands in for a real sidecar: it implements those operations of the strict server that the
// examples call. Another one would panic on the nil interface, and say so.
type pod struct {
	sidecar.StrictServerInterface
	alone bool // the controller is away
	state sidecar.SidecarState
}

// connect starts a sidecar and a client of it.
func connect(p *pod) (*sidecar.ClientWithResponses, func()) {
	server := httptest.NewServer(sidecar.Handler(sidecar.NewStrictHandler(p, nil)))
	client, err := sidecar.NewClientWithResponses(server.URL)
	if err != nil {
		panic(err)
	}
	return client, server.Close
}

func (p *pod) CollectNow(context.Context, sidecar.CollectNowRequestObject) (sidecar.CollectNowResponseObject, error) {
	p.state.PodName, p.state.Namespace = "fibonacci-deployment-7d4b9c-x2x4k", "default"
	p.state.Metrics.CpuUsage = new(412.5)
	p.state.Waiting++
	return sidecar.CollectNow200JSONResponse(p.state), nil
}

func (p *pod) SendNow(context.Context, sidecar.SendNowRequestObject) (sidecar.SendNowResponseObject, error) {
	if p.alone {
		return sidecar.SendNow502ApplicationProblemPlusJSONResponse{
			BadGatewayApplicationProblemPlusJSONResponse: sidecar.BadGatewayApplicationProblemPlusJSONResponse{
				Type: "urn:nemesis:problem:bad-gateway", Title: "The application failed", Status: http.StatusBadGateway,
				Code: "bad-gateway", Detail: new("the controller does not answer; 3 measurements wait"),
			},
		}, nil
	}
	p.state.Sent, p.state.Waiting = p.state.Sent+int64(p.state.Waiting), 0
	return sidecar.SendNow200JSONResponse(p.state), nil
}
