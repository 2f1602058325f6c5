package admission

import (
	"net/http"
	"testing"
)

// What a pod that is made waits for here, the connection aside.
func BenchmarkInject(b *testing.B) {
	s := newScene()
	h := s.handler()
	question := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","namespace":"default","operation":"CREATE","resource":{"resource":"pods"},"object":` + shopPod + `}}`
	b.ReportAllocs()
	for b.Loop() {
		if w := post(h, "/secret/inject", question); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
}
