// Package push is the client of the one operation of api/autoscaler.yaml that a sidecar calls: submitPodMetrics.
package push
