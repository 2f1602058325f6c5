package certificates

import (
	"context"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// atOnce is how many services may be issued a certificate at the same time; more are told to come again.
const atOnce = 16

// Desk issues certificates to services. What a certificate names is what the cluster says of the pod.
type Desk struct {
	store  *Store
	bundle func() ([]byte, <-chan struct{})
	places chan struct{}
}

// NewDesk makes it. bundle is what is published.
func NewDesk(s *Store, bundle func() ([]byte, <-chan struct{})) *Desk {
	return &Desk{store: s, bundle: bundle, places: make(chan struct{}, atOnce)}
}

// Bearer is a service whose token is bound to a pod.
type Bearer struct {
	Namespace, Account, Pod string
	UID                     string // the pod's; "": the token does not say
}

// Issue answers a request of a pod that runs as a service account, and says by what the certificate is
// verified. Errors are those of pkg/fault.
func (d *Desk) Issue(ctx context.Context, who Bearer, request []byte) (certificate, bundle []byte, err error) {
	namespace, account, pod := who.Namespace, who.Account, who.Pod
	key, err := authority.ReadRequest(request)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "the request for a certificate cannot be used").With("request", "", err.Error())
	}
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	default:
		return nil, nil, fault.New(fault.TooMany, "%d services are being issued certificates now", atOnce).After(time.Second)
	}
	found, err := d.pod(ctx, namespace, pod)
	if err != nil {
		return nil, nil, err
	}
	if found == nil || found.Spec.ServiceAccountName != account {
		return nil, nil, fault.New(fault.Forbidden, "there is no pod %s of the service account %s in the namespace %s", pod, account, namespace)
	}
	switch {
	case who.UID != "" && string(found.UID) != who.UID:
		return nil, nil, fault.New(fault.Forbidden, "the token is of a pod %s in the namespace %s that is gone: another one has its name", pod, namespace)
	case found.Status.Phase == corev1.PodFailed || found.Status.Phase == corev1.PodSucceeded:
		return nil, nil, fault.New(fault.Forbidden, "the pod %s in the namespace %s has ended", pod, namespace)
	}
	var addresses []string
	for _, ip := range found.Status.PodIPs {
		addresses = append(addresses, ip.IP)
	}
	if len(addresses) == 0 {
		return nil, nil, fault.New(fault.Unavailable, "the pod %s has no address yet", pod).After(time.Second)
	}
	addresses = append(addresses, d.store.serviceIPs(ctx, namespace, account)...)
	if certificate, err = d.store.Sign(key, ServiceNames(namespace, account, pod, addresses...)); err != nil {
		return nil, nil, err
	}
	bundle, _ = d.bundle()
	return certificate, bundle, nil
}

// pod is as the API server has it now; nil: there is none.
func (d *Desk) pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	// A list of one: pods are read by no other verb.
	list, err := d.store.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return nil, kube.Refusal(err, fmt.Sprintf("look at the pod %s/%s, which a certificate is for", namespace, name))
	}
	for i := range list.Items {
		if list.Items[i].Name == name {
			return &list.Items[i], nil
		}
	}
	return nil, nil //nolint:nilnil // there is none, and that is no fault
}

// serviceIPs are the addresses of a Service, by which people call it who have no DNS of the cluster. Where it
// cannot be looked at they are left out.
func (s *Store) serviceIPs(ctx context.Context, namespace, name string) (addresses []string) {
	ctx, cancel := kube.Bounded(ctx)
	defer cancel()
	list, err := s.kube.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return nil
	}
	for i := range list.Items {
		if list.Items[i].Name == name {
			for _, ip := range list.Items[i].Spec.ClusterIPs {
				if net.ParseIP(ip) != nil { // and not None
					addresses = append(addresses, ip)
				}
			}
		}
	}
	return addresses
}
