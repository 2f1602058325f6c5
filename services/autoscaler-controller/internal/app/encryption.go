package app

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/nemesis-scaling/nemesis/pkg/authority"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/certificates"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/httpapi"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// trust is all that the connections between the services are encrypted by.
type trust struct {
	settings    encryption.Settings
	log         *slog.Logger
	store       *certificates.Store
	publisher   *certificates.Publisher
	desk        *certificates.Desk
	certificate *encryption.Certificate
	authorities *encryption.Authorities
	secure      *httpserver.Secure
	names       authority.Names
}

// serviceName is the Service's, by which the others call the controller.
const serviceName = "autoscaler-controller"

func newTrust(s Settings, c *kube.Clients, log *slog.Logger, p parts, whole func() bool, altered func(*corev1.ConfigMap, string)) (*trust, error) {
	certificate, err := encryption.NewCertificate()
	if err != nil {
		return nil, err
	}
	t := &trust{settings: s.Encryption, log: log, certificate: certificate, secure: httpserver.NewSecure(certificate.Get, s.Encryption.ClearText)}
	if err := certificate.Load(&t.settings); err != nil {
		return nil, err
	}
	t.store = certificates.New(certificates.Options{
		Clients: c, Log: log, Namespace: s.Namespace, Identity: s.Identity, Times: authority.Times{Leaf: s.CertificateLifetime},
	})
	came := make(chan struct{}, 1)
	for _, one := range p {
		one.fleet.NotifyNamespaces(came)
	}
	t.publisher = certificates.NewPublisher(certificates.PublisherOptions{
		Clients: c, Log: log, Namespace: s.Namespace, Within: s.WatchNamespace, Bundle: t.bundle,
		Namespaces: func() (map[string]bool, bool) { return p.namespaces(), whole() },
		Came:       came,
		Ours:       func(namespace string) bool { return p.of(namespace).Leading() },
		Altered:    altered,
	})
	t.desk = certificates.NewDesk(t.store, t.bundle)
	t.authorities = t.settings.NewAuthoritiesOf("the Secret "+certificates.SecretName, func() ([]byte, error) {
		bundle, _ := t.bundle()
		return bundle, nil
	})
	host, _, _ := net.SplitHostPort(s.Advertise)
	t.names = certificates.ServiceNames(s.Namespace, serviceName, s.Identity, append(strings.FieldsFunc(s.TLSNames, func(r rune) bool { return r == ',' || r == ' ' }), host)...)
	return t, nil
}

// newAltered says where somebody else has written what services are verified by: by an event on it, and by a metric.
func newAltered(events *kube.Events, registry prometheus.Registerer) func(*corev1.ConfigMap, string) {
	times := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "nemesis_authority_altered_total", Help: "Times that somebody else had written a ConfigMap by which services are verified; it is written anew.",
	})
	registry.MustRegister(times)
	return func(m *corev1.ConfigMap, by string) {
		times.Inc()
		events.Add(kube.Event{
			About: corev1.ObjectReference{
				APIVersion: "v1", Kind: "ConfigMap", Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
			},
			Warning: true, Reason: "AuthorityAltered", Message: "its authorities were altered by " + by + ": pods that mount it would trust somebody else; they are written anew",
		})
	}
}

// bundle is what is published: the controller's own authority, and those of a certificate that is given.
func (t *trust) bundle() ([]byte, <-chan struct{}) {
	own, changed := t.store.Bundle()
	given, err := t.settings.GivenAuthorities()
	if err != nil {
		t.log.Warn("the authorities that are given are not published", "error", err)
	}
	return bytes.Join([][]byte{own, given}, nil), changed
}

// Run keeps what is held up to date until ctx ends.
func (t *trust) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		t.certificate.Run(ctx, t.log, &t.settings, certificates.Own{Store: t.store, Names: t.names})
	})
	running.Go(func() { _ = t.publisher.Run(ctx) })
	return t.store.Run(ctx)
}

// observe says what there is to say of it.
func (t *trust) observe(registry prometheus.Registerer, ready *httpserver.Readiness) {
	t.settings.Warn(t.log)
	registry.MustRegister(telemetry.Figures(t.settings.NewFigures(t.certificate, t.authorities, t.secure)))
	ready.AddTrouble(func() []string { return t.settings.Trouble() })
	ready.AddTrouble(t.store.Trouble)
	ready.AddTrouble(t.publisher.Trouble)
	ready.AddTrouble(t.certificate.Trouble)
	ready.AddCertificates(t.certificate.Times)
	ready.AddCertificates(func() []httpserver.CertificateTimes {
		bundle, _ := t.bundle()
		return encryption.TimesOf("authority", encryption.Bundled(bundle)...)
	})
}

// IssueTo issues a certificate to a service.
func (t *trust) IssueTo(ctx context.Context, who httpapi.Service, request []byte) (certificate, bundle []byte, err error) {
	return t.desk.Issue(ctx, certificates.Bearer{Namespace: who.Namespace, Account: who.Account, Pod: who.Pod, UID: who.PodUID}, request)
}

// namespaces are those that have applications.
func (p parts) namespaces() map[string]bool {
	found := map[string]bool{}
	for _, one := range p {
		for _, namespace := range one.fleet.Namespaces() {
			found[namespace] = true
		}
	}
	return found
}
