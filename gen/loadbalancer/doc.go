// Package loadbalancer is the client, the types and the server stub of the load balancer's admin
// port (api/loadbalancer.yaml): its state, the settings that all load balancers follow, requests to
// applications by name, and the log of what was proxied.
//
// Client traffic is not here: it goes to the data port, where every path belongs to the
// applications.
//
// [NewClientWithResponses] makes a client; its methods end in WithResponse and return one struct
// per operation: JSON200 is set when it went well, Body and StatusCode always. The answers of
// /target-app/api are the application's own: read Body. A refusal is a problem document
// (package [github.com/nemesis-scaling/nemesis/gen/common]). README.md one folder up shows the rest.
//
// All but this file and the examples is generated.
package loadbalancer
