package autoscaler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
)

// controller stands in for the real one in the examples: it implements those operations of the
// strict server that they call. Another one would panic on the nil interface, and say so.
type controller struct {
	autoscaler.StrictServerInterface
	kubernetes bool // it refuses as the Kubernetes API server does
	mu         sync.Mutex
	objects    map[string]autoscaler.CustomAutoscaler
	version    int
}

// current is the controller of the example that runs.
var current *controller

// connect starts a controller that holds the objects, and a client of it.
func connect(objects ...autoscaler.CustomAutoscaler) (*autoscaler.ClientWithResponses, func()) {
	current = &controller{objects: map[string]autoscaler.CustomAutoscaler{}}
	for _, o := range objects {
		current.put(o)
	}
	server := httptest.NewServer(autoscaler.Handler(autoscaler.NewStrictHandler(current, nil)))
	client, err := autoscaler.NewClientWithResponses(server.URL)
	if err != nil {
		panic(err)
	}
	return client, server.Close
}

// somebodyElseWrites changes the object fibonacci, the first time that it is called.
var somebodyElseWrites = sync.OnceFunc(func() { current.put(current.objects["fibonacci"]) })

func object(name string, idle int32) autoscaler.CustomAutoscaler {
	return autoscaler.CustomAutoscaler{
		ApiVersion: new(autoscaler.AutoscalerGroupAutoscalerv1alpha1),
		Kind:       new(autoscaler.CustomAutoscalerKindCustomAutoscaler),
		Metadata:   &autoscaler.ObjectMeta{Name: &name},
		Spec: autoscaler.CustomAutoscalerSpec{
			IdleTime:          &idle,
			TargetDeployments: []autoscaler.TargetDeployment{{Name: name + "-deployment", ApiPrefix: "/" + name, Port: "5001"}},
		},
	}
}

// put stores an object under a new version.
func (c *controller) put(o autoscaler.CustomAutoscaler) autoscaler.CustomAutoscaler {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	meta := *o.Metadata
	meta.ResourceVersion = new(strconv.Itoa(c.version))
	o.Metadata = &meta
	c.objects[*meta.Name] = o
	return o
}

func (c *controller) ListCustomAutoscalers(context.Context, autoscaler.ListCustomAutoscalersRequestObject) (autoscaler.ListCustomAutoscalersResponseObject, error) {
	items := slices.Collect(maps.Values(c.objects))
	return autoscaler.ListCustomAutoscalers200JSONResponse{Items: items}, nil
}

func (c *controller) CreateCustomAutoscaler(_ context.Context, in autoscaler.CreateCustomAutoscalerRequestObject) (autoscaler.CreateCustomAutoscalerResponseObject, error) {
	switch idle := *in.Body.Spec.IdleTime; {
	case in.Body.Kind == nil || in.Body.ApiVersion == nil:
		return autoscaler.CreateCustomAutoscaler400JSONResponse{}, nil
	case idle < 1 && c.kubernetes:
		return autoscaler.CreateCustomAutoscaler422JSONResponse{Message: new(fmt.Sprintf("spec.idleTime: Invalid value: %d", idle))}, nil
	case idle < 1:
		return autoscaler.CreateCustomAutoscaler422ApplicationProblemPlusJSONResponse{
			Type: "urn:nemesis:problem:unprocessable", Title: "The content is not valid", Status: http.StatusUnprocessableEntity, Code: "unprocessable",
			Errors: &[]common.FieldError{{Field: "spec.idleTime", Value: new(strconv.Itoa(int(idle))), Allowed: "from 1 to 604800 seconds"}},
		}, nil
	}
	return autoscaler.CreateCustomAutoscaler201JSONResponse(c.put(*in.Body)), nil
}

func (c *controller) GetCustomAutoscaler(_ context.Context, in autoscaler.GetCustomAutoscalerRequestObject) (autoscaler.GetCustomAutoscalerResponseObject, error) {
	return autoscaler.GetCustomAutoscaler200JSONResponse(c.objects[in.Name]), nil
}

func (c *controller) ReplaceCustomAutoscaler(_ context.Context, in autoscaler.ReplaceCustomAutoscalerRequestObject) (autoscaler.ReplaceCustomAutoscalerResponseObject, error) {
	if *in.Body.Metadata.ResourceVersion != *c.objects[in.Name].Metadata.ResourceVersion {
		return autoscaler.ReplaceCustomAutoscaler409ApplicationProblemPlusJSONResponse{
			Type: "urn:nemesis:problem:conflict", Title: "The object has changed", Status: http.StatusConflict, Code: "conflict",
		}, nil
	}
	return autoscaler.ReplaceCustomAutoscaler200JSONResponse(c.put(*in.Body)), nil
}

// PatchCustomAutoscaler merges by decoding over what is there, which is enough for one field.
func (c *controller) PatchCustomAutoscaler(_ context.Context, in autoscaler.PatchCustomAutoscalerRequestObject) (autoscaler.PatchCustomAutoscalerResponseObject, error) {
	change, err := json.Marshal(in.Body)
	if err != nil {
		return nil, err
	}
	merged := c.objects[in.Name]
	if err := json.Unmarshal(change, &merged); err != nil {
		return nil, err
	}
	return autoscaler.PatchCustomAutoscaler200JSONResponse(c.put(merged)), nil
}

// ListDecisions and WatchRoutes answer what the contract itself gives as examples.

func (c *controller) ListDecisions(context.Context, autoscaler.ListDecisionsRequestObject) (autoscaler.ListDecisionsResponseObject, error) {
	var decision autoscaler.Decision
	err := example("Decision", &decision)
	return autoscaler.ListDecisions200JSONResponse{Items: []autoscaler.Decision{decision}}, err
}

func (c *controller) WatchRoutes(_ context.Context, in autoscaler.WatchRoutesRequestObject) (autoscaler.WatchRoutesResponseObject, error) {
	var update autoscaler.RoutesUpdate
	err := example("RoutesUpdate", &update)
	if in.Params.After == nil {
		update.Version, update.Complete = "k3x9.17", true
	} else {
		update.Applications = []autoscaler.Route{}
	}
	return autoscaler.WatchRoutes200JSONResponse(update), err
}

// example reads a schema's example into its type.
func example(schema string, into any) error {
	spec, err := autoscaler.GetSpec()
	if err != nil {
		return err
	}
	raw, err := json.Marshal(spec.Components.Schemas[schema].Value.Example)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
