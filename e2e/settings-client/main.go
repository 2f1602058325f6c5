// Command settings-client sets how one Deployment is scaled and routed to, as any program does it
// with the SDK: it lists the CustomAutoscalers of the namespace, changes the one that names the
// Deployment (PUT or PATCH) or creates one where there is none (POST), and reads it back (GET).
//
//	echo '{"cpuThreshold": 700}' | settings-client -server URL -namespace default -deployment fibonacci-deployment -by patch
//
// Standard input is the part of spec that is to be set. The token is that of the environment
// variable TOKEN. It prints what it did and the object; a refusal goes to standard error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
)

// tries bounds how often a PUT is begun anew because somebody else wrote meanwhile.
const tries = 10

func main() {
	if err := run(context.Background(), os.Args[1:], os.Getenv("TOKEN"), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "settings-client:", err)
		os.Exit(1)
	}
}

// done is what is printed.
type done struct {
	Did    string                       `json:"did"`
	Object *autoscaler.CustomAutoscaler `json:"object"`
}

func run(ctx context.Context, args []string, token string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("settings-client", flag.ContinueOnError)
	server := flags.String("server", "http://localhost:8080", "the controller, or the Kubernetes API server")
	namespace := flags.String("namespace", "default", "namespace of the Deployment")
	deployment := flags.String("deployment", "", "name of the Deployment")
	by := flags.String("by", "patch", "how an object that is there is changed: put or patch")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *deployment == "" || (*by != "put" && *by != "patch") {
		return errors.New("-deployment must be given, and -by must be put or patch")
	}
	wanted, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	client, err := autoscaler.NewClientWithResponses(*server,
		autoscaler.WithHTTPClient(&http.Client{Timeout: 10 * time.Second}),
		autoscaler.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		}))
	if err != nil {
		return err
	}
	s := settings{client, *namespace}
	name, did, err := s.set(ctx, *deployment, *by, wanted)
	if err != nil {
		return err
	}
	object, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(done{did, object})
}

// settings are the CustomAutoscalers of one namespace.
type settings struct {
	client    *autoscaler.ClientWithResponses
	namespace string
}

// set changes or creates, and returns the object's name and what was done.
func (s settings) set(ctx context.Context, deployment, by string, wanted []byte) (name, did string, err error) {
	name, found, err := s.find(ctx, deployment)
	switch {
	case err != nil:
		return "", "", err
	case !found:
		return deployment, "created", s.create(ctx, deployment, wanted)
	case by == "put":
		return name, "replaced", s.put(ctx, name, wanted)
	default:
		return name, "patched", s.patch(ctx, name, wanted)
	}
}

// find is the name of the object that names the Deployment.
func (s settings) find(ctx context.Context, deployment string) (string, bool, error) {
	list, err := s.client.ListCustomAutoscalersWithResponse(ctx, s.namespace, nil)
	if err != nil {
		return "", false, err
	}
	if list.JSON200 == nil {
		return "", false, refusal(list.Status(), list.Body)
	}
	for _, object := range list.JSON200.Items {
		for _, target := range object.Spec.TargetDeployments {
			if target.Name == deployment {
				return *object.Metadata.Name, true, nil
			}
		}
	}
	return "", false, nil
}

func (s settings) create(ctx context.Context, name string, wanted []byte) error {
	object := autoscaler.CustomAutoscaler{
		ApiVersion: new(autoscaler.AutoscalerGroupAutoscalerv1alpha1),
		Kind:       new(autoscaler.CustomAutoscalerKindCustomAutoscaler),
		Metadata:   &autoscaler.ObjectMeta{Name: &name},
	}
	if err := json.Unmarshal(wanted, &object.Spec); err != nil {
		return err
	}
	created, err := s.client.CreateCustomAutoscalerWithResponse(ctx, s.namespace, object)
	if err != nil {
		return err
	}
	if created.JSON201 == nil {
		return refusal(created.Status(), created.Body)
	}
	return nil
}

// put applies the change to what is there now, until nobody else has written in between.
func (s settings) put(ctx context.Context, name string, wanted []byte) error {
	var last error
	for range tries {
		object, err := s.get(ctx, name)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(wanted, &object.Spec); err != nil {
			return err
		}
		replaced, err := s.client.ReplaceCustomAutoscalerWithResponse(ctx, s.namespace, name, *object)
		if err != nil {
			return err
		}
		if replaced.JSON200 != nil {
			return nil
		}
		if last = refusal(replaced.Status(), replaced.Body); replaced.StatusCode() != http.StatusConflict {
			return last
		}
	}
	return last
}

func (s settings) patch(ctx context.Context, name string, wanted []byte) error {
	change := autoscaler.MergePatch{"spec": json.RawMessage(wanted)}
	patched, err := s.client.PatchCustomAutoscalerWithApplicationMergePatchPlusJSONBodyWithResponse(ctx, s.namespace, name, change)
	if err != nil {
		return err
	}
	if patched.JSON200 == nil {
		return refusal(patched.Status(), patched.Body)
	}
	return nil
}

func (s settings) get(ctx context.Context, name string) (*autoscaler.CustomAutoscaler, error) {
	read, err := s.client.GetCustomAutoscalerWithResponse(ctx, s.namespace, name)
	if err != nil {
		return nil, err
	}
	if read.JSON200 == nil {
		return nil, refusal(read.Status(), read.Body)
	}
	return read.JSON200, nil
}

// refusal says a problem document in words, and anything else as it came.
func refusal(status string, body []byte) error {
	var problem common.Problem
	if err := json.Unmarshal(body, &problem); err != nil || problem.Code == "" {
		return fmt.Errorf("%s: %s", status, body)
	}
	err := fmt.Errorf("%d %s", problem.Status, problem.Code)
	if problem.Detail != nil {
		err = fmt.Errorf("%w: %s", err, *problem.Detail)
	}
	return err
}
