// Package addons holds what runs as pods in every cluster: the name server, and the server of the
// resource metrics API.
package addons

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/pki"
)

//go:embed *.yaml
var templates embed.FS

// Namespace and names of the Deployments.
const (
	Namespace     = "kube-system"
	CoreDNS       = "coredns"
	MetricsServer = "metrics-server"
)

// Manifests renders all objects as one YAML stream. image holds the program with all components;
// pkiDirectory is where the cluster's certificates are.
func Manifests(image, pkiDirectory string) ([]byte, error) {
	values := map[string]string{
		"Image":         image,
		"ClusterDomain": layout.ClusterDomain,
		"DNSAddress":    layout.DNSAddress,
	}
	for key, file := range map[string]string{
		"Authority":          pki.ClusterCA + ".crt",
		"MetricsCertificate": pki.MetricsServer + ".crt",
		"MetricsKey":         pki.MetricsServer + ".key",
	} {
		content, err := os.ReadFile(filepath.Join(pkiDirectory, file)) //nolint:gosec // a file of the cluster
		if err != nil {
			return nil, err
		}
		values[key] = base64.StdEncoding.EncodeToString(content)
	}
	parsed, err := template.New("").Option("missingkey=error").ParseFS(templates, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("add-ons: %w", err)
	}
	var out bytes.Buffer
	for _, name := range []string{"coredns.yaml", "metrics-server.yaml"} {
		if err := parsed.ExecuteTemplate(&out, name, values); err != nil {
			return nil, fmt.Errorf("add-on %s: %w", name, err)
		}
		out.WriteString("---\n")
	}
	return out.Bytes(), nil
}
