// Package sidecar is the client, the types and the server stub of the API that each sidecar serves
// inside its pod (api/sidecar.yaml): what was measured last, and the commands to measure and to
// send now.
//
// [NewClientWithResponses] makes a client; from outside the pod it needs the pod's address, or
// `kubectl port-forward pod/NAME 8082`. A refusal is a problem document
// (package [github.com/nemesis-scaling/nemesis/gen/common]). README.md one folder up shows the rest.
//
// All but this file and the examples is generated.
package sidecar
