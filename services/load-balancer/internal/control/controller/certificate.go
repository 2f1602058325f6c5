package controller

import (
	"context"
	"net/http"
	"time"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// certificateTimeout is for one certificate.
const certificateTimeout = 5 * time.Second

// Certificate has the controller issue a certificate for a request (PKCS #10), both as PEM. Whether it does says nothing of
// the link: no traffic depends on it.
func (c *Client) Certificate(ctx context.Context, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, certificateTimeout)
	defer cancel()
	answer, err := c.api.IssueCertificateWithResponse(ctx, autoscaler.CertificateRequest{Request: string(request)})
	if err == nil && (answer.StatusCode() != http.StatusOK || answer.JSON200 == nil) {
		err = refused(answer.StatusCode(), answer.Body)
	}
	c.counted("certificate", err)
	if err != nil {
		return nil, err
	}
	return []byte(answer.JSON200.Certificate), nil
}
