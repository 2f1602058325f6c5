package cluster

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
)

// podPort is the port of the pod that serves the application: the target's port itself or, with a
// Service, what the Service's port leads to. problem says what could not be resolved as written;
// the port is then the best guess, and 0 where there is none.
func podPort(t contract.Target, service *service, pod *shape) (port int32, problem string) {
	if t.Service == "" {
		return ownPort(t.Port, pod)
	}
	if service == nil {
		port, _ = ownPort(t.Port, pod)
		return port, fmt.Sprintf("the Service %s does not exist: port %s is taken as the pod's own", t.Service, t.Port)
	}
	p, ok := servicePort(t.Port, service)
	if !ok {
		port, _ = ownPort(t.Port, pod)
		return port, fmt.Sprintf("the Service %s has no port %s: it is taken as the pod's own", t.Service, t.Port)
	}
	switch {
	case p.TargetPort.Type == intstr.String:
		if n, ok := pod.named(p.TargetPort.StrVal); ok {
			return n, ""
		}
		return 0, fmt.Sprintf("the Service %s leads port %s to %q, and the pod has no port of that name", t.Service, t.Port, p.TargetPort.StrVal)
	case p.TargetPort.IntVal > 0:
		return p.TargetPort.IntVal, ""
	default:
		return p.Port, ""
	}
}

// ownPort is a port of the pod itself.
func ownPort(port contract.Port, pod *shape) (int32, string) {
	if port.Name == "" {
		return port.Number, ""
	}
	if n, ok := pod.named(port.Name); ok {
		return n, ""
	}
	return 0, fmt.Sprintf("the pod has no port %s: name it in the pod's template, or a Service that has a port of that name", port)
}

// servicePort is the port of a Service that a target names.
func servicePort(port contract.Port, service *service) (corev1.ServicePort, bool) {
	if service == nil {
		return corev1.ServicePort{}, false
	}
	for _, p := range service.ports {
		if port.Name == "" && p.Port == port.Number || port.Name != "" && p.Name == port.Name {
			return p, true
		}
	}
	return corev1.ServicePort{}, false
}

// speaksH2C tells whether HTTP/2 in clear text is spoken on the target's port: the Service's port says
// so, by its appProtocol or, without one, by its name. gRPC-Web goes over HTTP/1.1.
func speaksH2C(t contract.Target, service *service) bool {
	p, ok := servicePort(t.Port, service)
	switch {
	case t.Service == "" || !ok:
		return false
	case p.AppProtocol != nil && *p.AppProtocol != "":
		return *p.AppProtocol == "kubernetes.io/h2c" || *p.AppProtocol == "grpc"
	}
	return (strings.HasPrefix(p.Name, "grpc") || strings.HasPrefix(p.Name, "http2")) && !strings.HasPrefix(p.Name, "grpc-web")
}

func hostPort(host string, port int32) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// serviceAddress is where the Service answers, to fall back to; "" where that is not known.
func serviceAddress(namespace string, t contract.Target, service *service) string {
	port := t.Port.Number
	if p, ok := servicePort(t.Port, service); ok {
		port = p.Port
	}
	if t.Service == "" || port == 0 {
		return ""
	}
	return hostPort(t.Service+"."+namespace+".svc", port)
}
