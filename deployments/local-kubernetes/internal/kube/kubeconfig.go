package kube

import (
	"encoding/json"
	"os"
)

// Kubeconfig renders a configuration for one user of one cluster. The credentials are inside of it,
// so that the file can be copied. JSON is YAML, which kubectl and the client libraries read.
func Kubeconfig(server, user, namespace string, files Files) ([]byte, error) {
	var data [3][]byte
	for i, path := range []string{files.Authority, files.Certificate, files.Key} {
		content, err := os.ReadFile(path) //nolint:gosec // a file of the cluster
		if err != nil {
			return nil, err
		}
		data[i] = content // encoding/json writes bytes in base64, as a kubeconfig wants them
	}
	type named map[string]any
	const name = "nemesis-local"
	encoded, err := json.MarshalIndent(named{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []named{{"name": name, "cluster": named{
			"server": server, "certificate-authority-data": data[0],
		}}},
		"users": []named{{"name": user, "user": named{
			"client-certificate-data": data[1], "client-key-data": data[2],
		}}},
		"contexts": []named{{"name": name, "context": named{
			"cluster": name, "user": user, "namespace": namespace,
		}}},
		"current-context": name,
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(encoded, '\n'), nil
}
