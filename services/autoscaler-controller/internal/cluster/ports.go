package cluster

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// podPort is the port of the pod that serves the application: the target's port itself or, with a
// Service, what the Service's port leads to. problem says what could not be resolved as written;
// the port is then the best guess.
func podPort(t target, service *corev1.Service, pod *corev1.Pod) (port int32, problem string) {
	if t.service == "" {
		return t.port, ""
	}
	if service == nil {
		return t.port, fmt.Sprintf("the Service %s does not exist: port %d is taken as the pod's own", t.service, t.port)
	}
	for _, p := range service.Spec.Ports {
		if p.Port != t.port {
			continue
		}
		switch {
		case p.TargetPort.Type == intstr.String:
			if n, ok := namedPort(pod, p.TargetPort.StrVal); ok {
				return n, ""
			}
			return 0, fmt.Sprintf("the Service %s leads port %d to %q, and the pod has no port of that name", t.service, t.port, p.TargetPort.StrVal)
		case p.TargetPort.IntVal > 0:
			return p.TargetPort.IntVal, ""
		default:
			return p.Port, ""
		}
	}
	return t.port, fmt.Sprintf("the Service %s has no port %d: it is taken as the pod's own", t.service, t.port)
}

// speaksH2C tells whether HTTP/2 in clear text is spoken on the target's port: the Service's port says
// so, by its appProtocol or, without one, by its name. gRPC-Web goes over HTTP/1.1.
func speaksH2C(t target, service *corev1.Service) bool {
	if t.service == "" || service == nil {
		return false
	}
	for _, p := range service.Spec.Ports {
		if p.Port != t.port {
			continue
		}
		if p.AppProtocol != nil && *p.AppProtocol != "" {
			return *p.AppProtocol == "kubernetes.io/h2c" || *p.AppProtocol == "grpc"
		}
		return (strings.HasPrefix(p.Name, "grpc") || strings.HasPrefix(p.Name, "http2")) && !strings.HasPrefix(p.Name, "grpc-web")
	}
	return false
}

// namedPort finds a container's port by its name.
func namedPort(pod *corev1.Pod, name string) (int32, bool) {
	for _, c := range serving(pod) {
		if n, ok := containerPort(c, name); ok {
			return n, true
		}
	}
	return 0, false
}

func containerPort(c corev1.Container, name string) (int32, bool) {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort, true
		}
	}
	return 0, false
}

// serving are the containers that run while the pod does: sidecars among the init containers too.
func serving(pod *corev1.Pod) []corev1.Container {
	var list []corev1.Container
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			list = append(list, c)
		}
	}
	return append(list, pod.Spec.Containers...)
}

func hostPort(host string, port int32) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// serviceAddress is where the Service answers, to fall back to.
func serviceAddress(namespace string, t target) string {
	if t.service == "" {
		return ""
	}
	return hostPort(t.service+"."+namespace+".svc", t.port)
}
