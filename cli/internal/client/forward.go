package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

var (
	services = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	pods     = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// forward forwards a port of this machine to a pod of the target, and returns its address there.
func (n *Nemesis) forward(ctx context.Context, to target) (string, error) {
	config, err := n.restConfig()
	if err != nil {
		return "", err
	}
	pod := to.pod
	if pod == "" {
		ready, err := readyPods(ctx, config, n.options.System, to.service)
		if err != nil {
			return "", err
		}
		if len(ready) == 0 {
			return "", &UnreachableError{Who: to.String(), Where: n.options.System, Err: errors.New("no pod of it is ready")}
		}
		pod = ready[0]
	}
	base, err := baseURL(config)
	if err != nil {
		return "", err
	}
	untimed := rest.CopyConfig(config)
	untimed.Timeout = 0 // it lasts as long as the command
	transport, upgrader, err := spdy.RoundTripperFor(untimed)
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/api/v1/namespaces/%s/pods/%s/portforward", base, n.options.System, pod), nil)
	if err != nil {
		return "", err
	}
	stop, up := make(chan struct{}), make(chan struct{})
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, r.URL)
	forwarder, err := portforward.New(dialer, []string{"0:" + to.port}, stop, up, io.Discard, io.Discard)
	if err != nil {
		return "", err
	}
	ended, failure := make(chan struct{}), error(nil)
	go func() {
		defer close(ended)
		failure = forwarder.ForwardPorts()
	}()
	select {
	case <-up:
	case <-ended:
		return "", &UnreachableError{Who: "a port of the pod " + pod, Where: n.options.System, Err: failure}
	case <-ctx.Done():
		close(stop)
		return "", ctx.Err()
	}
	n.forwards = append(n.forwards, func() { close(stop) })
	go func() {
		<-ended // with the pod, say: the next call finds another way
		n.lock.Lock()
		defer n.lock.Unlock()
		delete(n.ways, place{to: to})
	}()
	ports, err := forwarder.GetPorts()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("https://127.0.0.1:%d", ports[0].Local), nil
}

func (n *Nemesis) readyPods(ctx context.Context, service string) ([]string, error) {
	config, err := n.Config()
	if err != nil {
		return nil, err
	}
	return readyPods(ctx, config, n.options.System, service)
}

// readyPods are the ready ones behind a Service, by name.
func readyPods(ctx context.Context, config *rest.Config, namespace, service string) ([]string, error) {
	kubernetes, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	object, err := kubernetes.Resource(services).Namespace(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return nil, Refused(fmt.Sprintf("the Service %s/%s", namespace, service), err)
	}
	var s corev1.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &s); err != nil {
		return nil, err
	}
	list, err := kubernetes.Resource(pods).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(s.Spec.Selector).String()})
	if err != nil {
		return nil, Refused("the pods of "+service, err)
	}
	var ready []string
	for _, item := range list.Items {
		var p corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &p); err != nil {
			return nil, err
		}
		if p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}) {
			ready = append(ready, p.Name)
		}
	}
	slices.Sort(ready)
	return ready, nil
}
