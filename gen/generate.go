// Package gen holds what is generated from the contracts in api/: Go types, chi servers and
// clients, one package per contract. It is the SDK: import
// github.com/nemesis-scaling/nemesis/gen/autoscaler and call its NewClientWithResponses;
// README.md tells the rest.
//
// Written by hand are only this file, the tests, README.md, the cfg.yaml files, what is in internal,
// and in each package doc.go and example_test.go, which stand beside the generated file. It
// requires nothing of this repository, so that it can be fetched alone.
//
// The CustomResourceDefinitions come from the same schemas, so that what the API refuses the
// cluster refuses too.
package gen

//go:generate go tool oapi-codegen -config common/cfg.yaml ../api/common.yaml
//go:generate go tool oapi-codegen -config autoscaler/cfg.yaml ../api/autoscaler.yaml
//go:generate go tool oapi-codegen -config loadbalancer/cfg.yaml ../api/loadbalancer.yaml
//go:generate go tool oapi-codegen -config sidecar/cfg.yaml ../api/sidecar.yaml
//go:generate go tool oapi-codegen -config peers/cfg.yaml ../api/peers.yaml
//go:generate go tool oapi-codegen -config lean/common/cfg.yaml ../api/common.yaml
//go:generate go tool oapi-codegen -config lean/push/cfg.yaml ../api/autoscaler.yaml
//go:generate go tool oapi-codegen -config lean/sidecar/cfg.yaml ../api/sidecar.yaml
//go:generate go run ./internal/crdgen -spec ../api/autoscaler.yaml -schema CustomAutoscaler -out ../kustomize/base/crd/customautoscalers.yaml
//go:generate go run ./internal/crdgen -spec ../api/autoscaler.yaml -schema ClaimPolicy -out ../kustomize/base/crd/claimpolicies.yaml
