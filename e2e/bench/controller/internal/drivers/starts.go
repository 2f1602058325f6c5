package drivers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
)

// Starter calls for starts, as a load balancer does whose request finds no pod.
type Starter struct {
	service *Service
	client  *http.Client
	Latency Latencies // of calls that scaled, from the call to its answer
}

// NewStarter makes one.
func NewStarter(s *Service) *Starter { return &Starter{service: s, client: s.client(64, nil)} }

// Start starts an application. The answer comes after /scale.
func (s *Starter) Start(ctx context.Context, address string, a objects.App) error {
	began := time.Now()
	status, answer, err := s.service.post(ctx, s.client, balancerPod(balancerName(0)), address, "/v1/namespaces/"+a.Namespace+"/deployments/"+a.Name+"/start",
		fmt.Appendf(nil, `{"balancer":%q,"waiting":1,"arrivedAt":%q}`, balancerName(0), began.UTC().Format(time.RFC3339Nano)))
	took := time.Since(began)
	if err != nil {
		return err
	}
	var started struct {
		Replicas int
		Scaled   bool
		Message  string
	}
	if status != http.StatusOK {
		return fmt.Errorf("start of %s: status %d: %s", a.Name, status, answer)
	}
	if err := json.Unmarshal(answer, &started); err != nil {
		return fmt.Errorf("start of %s: %w", a.Name, err)
	}
	if !started.Scaled || started.Replicas < 1 {
		return fmt.Errorf("start of %s: it was not scaled: %s", a.Name, started.Message)
	}
	s.Latency.Add(took)
	return nil
}
