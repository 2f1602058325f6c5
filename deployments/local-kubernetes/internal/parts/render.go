// Package parts knows the programs that make up the cluster: their flags and their configuration
// files. It starts nothing.
package parts

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
)

//go:embed config
var templates embed.FS

// Values is what the configuration files are made from.
type Values struct {
	Layout     layout.Layout
	PauseImage string
	Runc       string // path of the program
	// Snapshotter is how containerd keeps the layers of images: overlayfs, or native where the
	// file system cannot do that.
	Snapshotter string

	// The constants of package layout, for templates.
	NodeName, NodeAddress, PodRange, PodGateway, DNSAddress, ClusterDomain, Socket string
}

// NewValues fills in what the layout decides.
func NewValues(l layout.Layout, pauseImage, runc, snapshotter string) Values {
	return Values{
		Layout: l, PauseImage: pauseImage, Runc: runc, Snapshotter: snapshotter,
		NodeName: layout.NodeName, NodeAddress: layout.NodeAddress,
		PodRange: layout.PodRange, PodGateway: layout.PodGateway,
		DNSAddress: layout.DNSAddress, ClusterDomain: layout.ClusterDomain,
		Socket: layout.ContainerdSocket,
	}
}

// PKI is the path of a certificate or key.
func (v Values) PKI(file string) string { return v.Layout.Cluster("pki", file) }

// Kubeconfig is the path of a part's own kubeconfig.
func (v Values) Kubeconfig(part string) string { return v.config(part + ".kubeconfig") }

func (v Values) config(file string) string { return v.Layout.Cluster("config", file) }

// files lists where each rendered template goes, below the folder config of the cluster.
var files = map[string]string{
	"containerd.toml": "containerd.toml",
	"cni.conflist":    "cni/10-nemesis.conflist",
	"kubelet.yaml":    "kubelet.yaml",
	"kube-proxy.yaml": "kube-proxy.yaml",
	"scheduler.yaml":  "scheduler.yaml",
	"resolv.conf":     "resolv.conf",
}

// WriteConfig renders every configuration file into the cluster's directory.
func (v Values) WriteConfig() error {
	for source, target := range files {
		content, err := v.render(source)
		if err != nil {
			return err
		}
		path := v.config(target)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (v Values) render(name string) ([]byte, error) {
	parsed, err := template.New(name).Option("missingkey=error").ParseFS(templates, "config/"+name)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, v); err != nil {
		return nil, fmt.Errorf("configuration %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// environment is all that a part sees of the launcher's: above all no proxy settings, which would
// send requests to the node's own addresses out of the house.
func (v Values) environment() []string {
	path := []string{v.Layout.BinDir(), "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
	return []string{
		"PATH=" + strings.Join(path, ":"),
		"HOME=" + v.Layout.Cluster("home"),
		"TMPDIR=" + v.Layout.Cluster("tmp"),
	}
}
