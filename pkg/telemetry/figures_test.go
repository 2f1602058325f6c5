package telemetry

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/figures"
)

func TestFigures_StandOnThePageBesideTheRegistrysOwn(t *testing.T) {
	tel := start(t, &bytes.Buffer{})
	n := 1.0
	tel.Registry.MustRegister(Figures(func() []figures.Family {
		return []figures.Family{
			figures.By(figures.Counter, "refusals_total", "By status.", "status", figures.At("401", n), figures.At("403", 0)),
			figures.Of(figures.Gauge, "sent", "1 or 0.", figures.Yes(true)),
		}
	}))
	n = 7
	w := httptest.NewRecorder()
	tel.Page().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, says := range []string{`refusals_total{status="401"} 7`, `refusals_total{status="403"} 0`, "# TYPE refusals_total counter", "# TYPE sent gauge\nsent 1\n", "nemesis_build_info{"} {
		if !strings.Contains(w.Body.String(), says) {
			t.Errorf("%q is not in\n%s", says, w.Body)
		}
	}
}
