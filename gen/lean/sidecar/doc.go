// Package sidecar is the server of api/sidecar.yaml, without the contract: its operations take no input that would have
// to be checked against it.
package sidecar
