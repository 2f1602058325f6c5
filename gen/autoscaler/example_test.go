package autoscaler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
)

// Set how an application is scaled: list the namespace; change the object that names the
// Deployment, or create one where there is none; read it back.
func Example() {
	client, end := connect()
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	list, err := client.ListCustomAutoscalersWithResponse(ctx, "default", nil)
	if err != nil {
		fmt.Println(err) // no answer at all: the network, or ctx
		return
	}
	if list.JSON200 == nil {
		fmt.Println(list.Status(), string(list.Body))
		return
	}
	var found *autoscaler.CustomAutoscaler
	for _, object := range list.JSON200.Items {
		for _, target := range object.Spec.TargetDeployments {
			if target.Name == "fibonacci-deployment" {
				found = &object
			}
		}
	}
	if found == nil {
		created, err := client.CreateCustomAutoscalerWithResponse(ctx, "default", autoscaler.CustomAutoscaler{
			ApiVersion: new(autoscaler.AutoscalerGroupAutoscalerv1alpha1), // Kubernetes insists on both
			Kind:       new(autoscaler.CustomAutoscalerKindCustomAutoscaler),
			Metadata:   &autoscaler.ObjectMeta{Name: new("fibonacci")},
			Spec: autoscaler.CustomAutoscalerSpec{
				IdleTime: new(int32(90)),
				TargetDeployments: []autoscaler.TargetDeployment{
					{Name: "fibonacci-deployment", ApiPrefix: "/fibonacci", Port: "5001"},
				},
			},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("created:", created.StatusCode())
		if created.JSON201 == nil {
			return
		}
		found = created.JSON201
	}
	change := autoscaler.MergePatch{"spec": map[string]any{"cpuThreshold": 700}}
	patched, err := client.PatchCustomAutoscalerWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, "default", *found.Metadata.Name, change)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("patched:", patched.StatusCode())

	read, err := client.GetCustomAutoscalerWithResponse(ctx, "default", *found.Metadata.Name)
	if err != nil {
		fmt.Println(err)
		return
	}
	spec := read.JSON200.Spec
	fmt.Println("sleeps after", *spec.IdleTime, "s, grows above", *spec.CpuThreshold, "millicores")
	// Output:
	// created: 201
	// patched: 200
	// sleeps after 90 s, grows above 700 millicores
}

// Replace an object that others write too: PUT carries the resourceVersion that was read, and when
// the answer is 409 somebody was faster. Read again, apply the change to what is there now.
func ExampleClientWithResponses_ReplaceCustomAutoscalerWithResponse() {
	client, end := connect(object("fibonacci", 90))
	defer end()
	ctx := context.Background()

	for {
		read, err := client.GetCustomAutoscalerWithResponse(ctx, "default", "fibonacci")
		if err != nil {
			fmt.Println(err)
			return
		}
		if read.JSON200 == nil {
			fmt.Println(read.Status(), string(read.Body))
			return
		}
		changed := *read.JSON200
		changed.Spec.IdleTime = new(int32(120))

		somebodyElseWrites()
		put, err := client.ReplaceCustomAutoscalerWithResponse(ctx, "default", "fibonacci", changed)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(put.StatusCode())
		if put.StatusCode() != http.StatusConflict {
			break
		}
	}
	// Output:
	// 409
	// 200
}

// A refusal is a problem document; the Kubernetes API server answers the same status code with its
// own Status. Body has either, whatever the status code is, so no field per code is needed.
func ExampleClientWithResponses_CreateCustomAutoscalerWithResponse_refused() {
	client, end := connect()
	defer end()

	for _, api := range []string{"controller", "kubernetes"} {
		current.kubernetes = api == "kubernetes"
		answer, err := client.CreateCustomAutoscalerWithResponse(context.Background(), "default", object("fibonacci", -5))
		if err != nil {
			fmt.Println(err) // no answer, or one that is no JSON although it says so
			return
		}
		var problem common.Problem
		var status autoscaler.KubernetesStatus
		switch {
		case answer.JSON201 != nil:
			fmt.Println("created")
		case answer.ContentType() == "application/problem+json" && json.Unmarshal(answer.Body, &problem) == nil:
			fmt.Println(problem.Status, problem.Code)
			if problem.Errors != nil { // every field at fault
				for _, e := range *problem.Errors {
					fmt.Println(e.Field, "→", e.Allowed)
				}
			}
		case json.Unmarshal(answer.Body, &status) == nil && status.Message != nil:
			fmt.Println(answer.StatusCode(), *status.Message)
		default: // neither: something between you and them has answered
			fmt.Println(answer.Status(), string(answer.Body))
			return
		}
	}
	// Output:
	// 422 unprocessable
	// spec.idleTime → from 1 to 604800 seconds
	// 422 spec.idleTime: Invalid value: -5
}

// Why did it scale? The newest decisions with their reasons.
func ExampleClientWithResponses_ListDecisionsWithResponse() {
	client, end := connect()
	defer end()

	answer, err := client.ListDecisionsWithResponse(context.Background(), &autoscaler.ListDecisionsParams{
		Deployment: new("fibonacci-deployment"), Limit: new(1),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, decision := range answer.JSON200.Items {
		fmt.Println(decision.Summary)
		for _, reason := range decision.Reasons {
			fmt.Printf("  %s (%s): %s\n", reason.Rule, reason.Effect, reason.Message)
		}
	}
	// Output:
	// 1 → 0: no traffic for 90 s
	//   Idle (Wish): no traffic for 90.2 s (idleTime 90 s)
	//   MinReplicas (Clamp): minReplicas is 0
}

// Follow the routes as a load balancer does, by a long poll: the context must live longer than the
// wait that is asked for.
func ExampleClientWithResponses_WatchRoutesWithResponse() {
	client, end := connect()
	defer end()

	var after *string // the first answer is everything
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		answer, err := client.WatchRoutesWithResponse(ctx, &autoscaler.WatchRoutesParams{After: after, Wait: new("30s")})
		cancel()
		if err != nil {
			fmt.Println(err)
			return
		}
		update := answer.JSON200
		fmt.Println(update.Version, "everything:", update.Complete, "changed:", len(update.Applications))
		after = &update.Version
	}
	// Output:
	// k3x9.17 everything: true changed: 1
	// k3x9.18 everything: false changed: 0
}

// Every request carries a token, and no answer is waited for longer than ten seconds.
func ExampleNewClientWithResponses() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer api.Close()

	token := func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+"TOKEN") // read the file anew: Kubernetes replaces it
		return nil
	}
	client, err := autoscaler.NewClientWithResponses(api.URL,
		autoscaler.WithRequestEditorFn(token),
		autoscaler.WithHTTPClient(&http.Client{Timeout: 10 * time.Second}))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.ListPodsWithResponse(context.Background(), nil); err != nil {
		fmt.Println(err)
		return
	}
	// Output: Bearer TOKEN
}
