package batches

import (
	"context"
	"fmt"
	"net/http"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/send"
)

// Certificates has the controller issue certificates.
type Certificates struct {
	api autoscaler.ClientWithResponsesInterface
}

// NewCertificates connects to nothing yet.
func NewCertificates(url string, way send.Way) (*Certificates, error) {
	api, err := autoscaler.NewClientWithResponses(url, autoscaler.WithHTTPClient(httpclient.New(httpclient.Options{
		MaxAnswer: maxAnswer, Timeout: timeout, MaxIdle: 1, IdleTimeout: idle, Wrap: way.Wrap, Authorities: way.Authorities,
	})))
	if err != nil {
		return nil, fmt.Errorf("controller at %q: %w", url, err)
	}
	return &Certificates{api}, nil
}

// Certificate has one issued for a request (PKCS #10); both are PEM.
func (c *Certificates) Certificate(ctx context.Context, request []byte) ([]byte, error) {
	answer, err := c.api.IssueCertificateWithResponse(ctx, autoscaler.CertificateRequest{Request: string(request)})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode() != http.StatusOK || answer.JSON200 == nil {
		read, _ := fault.Read(answer.StatusCode(), answer.Body)
		return nil, fmt.Errorf("the controller answered %s: %s", answer.Status(), read.Detail)
	}
	return []byte(answer.JSON200.Certificate), nil
}
