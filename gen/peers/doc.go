// Package peers is generated from api/peers.yaml: what load balancers say to each other about the slots
// of limited pods. It has types alone: the messages are many and small, and both sides read and write
// them by themselves.
package peers
