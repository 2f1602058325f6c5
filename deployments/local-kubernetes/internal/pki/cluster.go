package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
)

// Files in the pki directory. Each pair NAME is NAME.crt and NAME.key.
const (
	ClusterCA     = "ca"
	FrontProxyCA  = "front-proxy-ca"
	APIServer     = "apiserver"
	APIToKubelet  = "apiserver-kubelet-client"
	FrontProxy    = "front-proxy-client"
	Kubelet       = "kubelet"
	KubeletClient = "kubelet-client"
	Controllers   = "controller-manager"
	Scheduler     = "scheduler"
	Proxy         = "kube-proxy"
	Admin         = "admin"
	MetricsServer = "metrics-server"

	ServiceAccountKey    = "service-account.key"
	ServiceAccountPublic = "service-account.pub"
)

// subjects lists the certificates signed by the cluster's authority. Names and groups are those
// that Kubernetes' own roles are bound to.
func subjects() map[string]Subject {
	return map[string]Subject{
		APIServer: {Name: "kube-apiserver", Hosts: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + layout.ClusterDomain, "localhost", layout.NodeName,
			"127.0.0.1", layout.APIAddress, layout.NodeAddress,
		}},
		APIToKubelet:  {Name: "kube-apiserver-kubelet-client", Group: "system:masters"},
		Kubelet:       {Name: "system:node:" + layout.NodeName, Group: "system:nodes", Hosts: []string{layout.NodeName, layout.NodeAddress}},
		KubeletClient: {Name: "system:node:" + layout.NodeName, Group: "system:nodes"},
		Controllers:   {Name: "system:kube-controller-manager"},
		Scheduler:     {Name: "system:kube-scheduler"},
		Proxy:         {Name: "system:kube-proxy"},
		Admin:         {Name: "nemesis-admin", Group: "system:masters"},
		MetricsServer: {Name: "metrics-server", Hosts: []string{"metrics-server.kube-system.svc", "metrics-server.kube-system.svc." + layout.ClusterDomain}},
	}
}

// WriteCluster makes everything the parts of one cluster need and writes it to directory.
func WriteCluster(directory string) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	authority, pair, err := NewAuthority("nemesis local cluster")
	if err != nil {
		return err
	}
	if err := writePair(directory, ClusterCA, pair); err != nil {
		return err
	}
	for name, subject := range subjects() {
		pair, err := authority.Issue(subject)
		if err != nil {
			return err
		}
		if err := writePair(directory, name, pair); err != nil {
			return err
		}
	}
	// Requests passed on to an aggregated API are trusted by this authority alone: with the
	// cluster's own, any client certificate could claim to be the front proxy.
	front, pair, err := NewAuthority("nemesis local cluster front proxy")
	if err != nil {
		return err
	}
	if err := writePair(directory, FrontProxyCA, pair); err != nil {
		return err
	}
	pair, err = front.Issue(Subject{Name: FrontProxy})
	if err != nil {
		return err
	}
	if err := writePair(directory, FrontProxy, pair); err != nil {
		return err
	}
	return writeServiceAccountKeys(directory)
}

func writePair(directory, name string, pair Pair) error {
	return pair.Write(filepath.Join(directory, name+".crt"), filepath.Join(directory, name+".key"))
}

func writeServiceAccountKeys(directory string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(directory, ServiceAccountKey), private, 0o600); err != nil {
		return err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return os.WriteFile(filepath.Join(directory, ServiceAccountPublic), public, 0o600)
}
