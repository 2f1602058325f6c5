// Package autoscaler is the client, the types and the server stub of the autoscaler-controller's
// API (api/autoscaler.yaml): CustomAutoscaler objects, the decisions with their reasons, the state
// of applications, pods and metrics, and the calls of load balancers and sidecars.
//
// [NewClientWithResponses] makes a client; its methods end in WithResponse and return one struct
// per operation: JSON200 (or JSON201) is set when it went well, Body and StatusCode always. The
// client of the custom resource works against the controller and against the Kubernetes API server
// alike, with the same token.
//
// A refusal is a problem document, [common.Problem]; a Kubernetes API server answers the same
// status code with its own Status. README.md one folder up shows both, with contexts, timeouts,
// tokens and conflicts.
//
// [NewStrictHandler] and [Handler] are the other side: whoever writes a test double of the
// controller implements [StrictServerInterface], or the part of it that is called.
//
// All but this file and the examples is generated; [common.Problem] and what else the contracts
// share is in package [github.com/nemesis-scaling/nemesis/gen/common].
package autoscaler
