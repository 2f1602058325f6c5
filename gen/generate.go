// Package gen holds what is generated from the contracts in api/: Go types, chi servers and
// clients, one package per contract. It is the SDK: import
// github.com/nemesis-scaling/nemesis/gen/autoscaler and call its NewClientWithResponses.
// Nothing here but this file, the cfg.yaml files and internal/crdgen is written by hand.
//
// The CustomResourceDefinition comes from the same schema, so that what the API refuses the
// cluster refuses too.
package gen

//go:generate go tool oapi-codegen -config common/cfg.yaml ../api/common.yaml
//go:generate go tool oapi-codegen -config autoscaler/cfg.yaml ../api/autoscaler.yaml
//go:generate go tool oapi-codegen -config loadbalancer/cfg.yaml ../api/loadbalancer.yaml
//go:generate go tool oapi-codegen -config sidecar/cfg.yaml ../api/sidecar.yaml
//go:generate go run ./internal/crdgen -spec ../api/autoscaler.yaml -schema CustomAutoscaler -out ../kustomize/base/crd/customautoscalers.yaml
