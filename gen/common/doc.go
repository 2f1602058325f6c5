// Package common holds the types that the contracts of all services share (api/common.yaml):
// [Problem], which every refusal is; [PodMetrics] and [Measurements], what a pod uses;
// [BalancerSettings], what every load balancer follows; [Health].
//
// It has no client: the packages autoscaler, loadbalancer and sidecar beside it have. All but this
// file is generated.
package common
