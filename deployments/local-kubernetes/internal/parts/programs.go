package parts

import (
	"fmt"

	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/layout"
	"github.com/nemesis-scaling/nemesis/deployments/local-kubernetes/internal/node"
)

// Names of the parts, as they are called in messages, logs and the state file.
const (
	Containerd        = "containerd"
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kubelet           = "kubelet"
	Proxy             = "kube-proxy"
)

// Names lists all parts in the order in which they are started.
func Names() []string {
	return []string{Containerd, Etcd, APIServer, ControllerManager, Scheduler, Kubelet, Proxy}
}

// Kubernetes is the one binary that holds every Kubernetes program, etcd and CoreDNS.
const Kubernetes = "kubernetes"

// EtcdAddress is where etcd serves, inside of the node's network namespace only.
const EtcdAddress = "http://127.0.0.1:2379"

// Server is the API server's address for everybody on this machine.
func Server() string { return fmt.Sprintf("https://%s:%d", layout.NodeAddress, layout.APIPort) }

// Part is the program of that name, ready to start.
func (v Values) Part(name string) node.Part {
	part := node.Part{Name: name, Env: v.environment(), Log: v.Layout.Log(name)}
	if name == Containerd {
		part.Args = []string{v.Layout.Bin("containerd"), "--config", v.config("containerd.toml")}
		return part
	}
	part.Args = append([]string{v.Layout.Bin(Kubernetes), name}, v.flags(name)...)
	return part
}

func (v Values) flags(name string) []string {
	switch name {
	case Etcd:
		return v.etcd()
	case APIServer:
		return v.apiServer()
	case ControllerManager:
		return v.controllerManager()
	case Scheduler:
		return []string{
			"--config=" + v.config("scheduler.yaml"),
			"--authentication-kubeconfig=" + v.Kubeconfig("scheduler"),
			"--authorization-kubeconfig=" + v.Kubeconfig("scheduler"),
			"--bind-address=" + layout.NodeAddress,
		}
	case Kubelet:
		return []string{
			"--config=" + v.config("kubelet.yaml"),
			"--kubeconfig=" + v.Kubeconfig("kubelet"),
			"--hostname-override=" + layout.NodeName,
			"--node-ip=" + layout.NodeAddress,
			"--root-dir=" + v.Layout.Cluster("kubelet"),
			"--runtime-cgroups=/" + v.Layout.Cgroup() + "/parts",
		}
	case Proxy:
		return []string{"--config=" + v.config("kube-proxy.yaml")}
	default:
		panic("no part is called " + name)
	}
}

func (v Values) etcd() []string {
	const peers = "http://127.0.0.1:2380"
	return []string{
		"--name=" + layout.NodeName,
		"--data-dir=" + v.Layout.Cluster("etcd"),
		"--listen-client-urls=" + EtcdAddress, "--advertise-client-urls=" + EtcdAddress,
		"--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers,
		// Health and metrics alone are for everybody on the machine; the data is not.
		"--listen-metrics-urls=http://" + layout.NodeAddress + ":2381",
		"--initial-cluster=" + layout.NodeName + "=" + peers,
		// The data does not outlive the cluster, so losing it with the machine loses nothing.
		"--unsafe-no-fsync",
		"--auto-compaction-mode=revision", "--auto-compaction-retention=10000",
		"--log-level=warn",
	}
}

func (v Values) apiServer() []string {
	return []string{
		"--bind-address=0.0.0.0",
		fmt.Sprintf("--secure-port=%d", layout.APIPort),
		"--advertise-address=" + layout.NodeAddress,
		"--etcd-servers=" + EtcdAddress,
		"--service-cluster-ip-range=" + layout.ServiceRange,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--anonymous-auth=true",
		"--client-ca-file=" + v.PKI("ca.crt"),
		"--tls-cert-file=" + v.PKI("apiserver.crt"),
		"--tls-private-key-file=" + v.PKI("apiserver.key"),
		"--kubelet-client-certificate=" + v.PKI("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + v.PKI("apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + v.PKI("ca.crt"),
		// The node's name resolves nowhere.
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc." + layout.ClusterDomain,
		"--service-account-key-file=" + v.PKI("service-account.pub"),
		"--service-account-signing-key-file=" + v.PKI("service-account.key"),
		"--requestheader-client-ca-file=" + v.PKI("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + v.PKI("front-proxy-client.crt"),
		"--proxy-client-key-file=" + v.PKI("front-proxy-client.key"),
		// Aggregated APIs are asked at their pods at once, without waiting for kube-proxy.
		"--enable-aggregator-routing=true",
	}
}

func (v Values) controllerManager() []string {
	kubeconfig := v.Kubeconfig("controller-manager")
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + layout.NodeAddress,
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--allocate-node-cidrs=false",
		"--cluster-cidr=" + layout.PodRange,
		"--service-cluster-ip-range=" + layout.ServiceRange,
		"--root-ca-file=" + v.PKI("ca.crt"),
		"--client-ca-file=" + v.PKI("ca.crt"),
		"--requestheader-client-ca-file=" + v.PKI("front-proxy-ca.crt"),
		"--cluster-signing-cert-file=" + v.PKI("ca.crt"),
		"--cluster-signing-key-file=" + v.PKI("ca.key"),
		"--service-account-private-key-file=" + v.PKI("service-account.key"),
		"--kube-api-qps=200", "--kube-api-burst=400",
		// One node that is never replaced needs no patience with it, and no thousands of old pods.
		"--terminated-pod-gc-threshold=200",
	}
}
