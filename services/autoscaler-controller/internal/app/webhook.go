package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nemesis-scaling/nemesis/pkg/build"
	"github.com/nemesis-scaling/nemesis/pkg/encryption"
	"github.com/nemesis-scaling/nemesis/pkg/httpserver"
	"github.com/nemesis-scaling/nemesis/pkg/telemetry"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/admission"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/webhook"
)

const (
	// ownNamespace is where the sidecar looks for the controller by itself, over TLS.
	ownNamespace = "nemesis-system"
	// webhookConnections are the API servers', some for each: the rest of the cluster has nothing to ask there.
	webhookConnections = 512
)

// hooks are the admission port; nil: there is none.
type hooks struct {
	keeper *webhook.Keeper
	server *httpserver.Server
}

// newHooks takes the port, if there is to be one.
func newHooks(ctx context.Context, s Settings, c *kube.Clients, t *telemetry.Telemetry, picture admission.Picture, leads func() bool) (*hooks, error) {
	if s.WebhookListen == "" {
		return nil, nil
	}
	keeper := webhook.New(webhook.Options{Clients: c, Log: t.Log, Namespace: s.Namespace, Service: "autoscaler-controller", Leads: leads})
	handler := admission.New(admission.Options{
		Picture: picture, Meter: newHookMeter(t.Registry, keeper), Log: t.Log, Namespace: s.Namespace, Sidecar: injected(s), Path: keeper.Path,
	})
	connections := httpserver.NewConnections(webhookConnections, 0, 0)
	config := &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: keeper.Certificate, NextProtos: []string{"http/1.1"}}
	server, err := httpserver.Listen(ctx, httpserver.Options{
		Address: s.WebhookListen, Log: t.Log, LameDuck: lameDuck, Handler: httpserver.Recover(t.Log)(handler),
		Listen: func(l net.Listener) net.Listener { return tls.NewListener(connections.Listen(l), config) },
	})
	if err != nil {
		return nil, fmt.Errorf("webhook-listen: %w", err)
	}
	return &hooks{keeper, server}, nil
}

// injected is what is put into pods.
func injected(s Settings) injection.Settings {
	set := injection.Settings{Image: s.SidecarImage, GPUImage: s.SidecarGPUImage, Controller: s.SidecarControllerURL}
	if set.Image == "" {
		set.Image = "nemesis/sidecar:" + build.Version()
	}
	if set.Controller == "" && s.Namespace != ownNamespace {
		set.Controller = "https://autoscaler-controller." + s.Namespace + ".svc:8080"
	}
	return set
}

// Run keeps the certificate, and serves as long as ctx says; it ends when both have ended.
func (h *hooks) Run(serving, leading context.Context) error {
	if h == nil {
		return nil
	}
	ctx, stop := context.WithCancel(serving)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.keeper.Run(ctx)
	}()
	err := h.server.Run(leading)
	stop()
	<-ended
	return err
}

func (h *hooks) trouble() []string {
	if h == nil || h.keeper.Trouble() == "" {
		return nil
	}
	return []string{"webhook: " + h.keeper.Trouble()}
}

// times are those of the certificate that the API server is shown.
func (h *hooks) times() []httpserver.CertificateTimes {
	if h == nil {
		return nil
	}
	c, err := h.keeper.Certificate(nil)
	if err != nil {
		return nil // there is none yet, which is trouble of its own
	}
	return encryption.TimesOf("webhook", c.Leaf)
}

// hookMeter measures the admission port.
type hookMeter struct {
	reviews *prometheus.CounterVec
	took    *prometheus.HistogramVec
}

var _ admission.Meter = (*hookMeter)(nil)

func newHookMeter(registry prometheus.Registerer, k *webhook.Keeper) *hookMeter {
	m := &hookMeter{
		reviews: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nemesis_admission_reviews_total", Help: "Questions of the API server: inject of pods, review of CustomAutoscalers, by what became of them.",
		}, []string{"webhook", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "nemesis_admission_review_duration_seconds", Help: "From a question of the API server to its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1, 2},
		}, []string{"webhook"}),
	}
	ready := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nemesis_webhook_ready", Help: "1 when the webhook has its certificate and, where this replica leads, the API server is told of it.",
	}, func() float64 {
		if k.Trouble() == "" {
			return 1
		}
		return 0
	})
	until := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nemesis_webhook_certificate_expiry_timestamp_seconds", Help: "When the webhook's certificate expires; 0: there is none yet.",
	}, func() float64 {
		if at := k.Until(); !at.IsZero() {
			return float64(at.Unix())
		}
		return 0
	})
	registry.MustRegister(m.reviews, m.took, ready, until)
	for _, kind := range admission.Kinds {
		m.took.WithLabelValues(string(kind))
		for _, result := range admission.Results(kind) {
			m.reviews.WithLabelValues(string(kind), string(result))
		}
	}
	return m
}

// Reviewed counts a question.
func (m *hookMeter) Reviewed(k admission.Kind, r admission.Result, took time.Duration) {
	m.reviews.WithLabelValues(string(k), string(r)).Inc()
	m.took.WithLabelValues(string(k)).Observe(took.Seconds())
}
