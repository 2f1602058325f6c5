package httpapi

import (
	"context"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// certificatesPath is served by every replica: each has the authority.
const certificatesPath = "/v1/certificates"

// IssueCertificate issues a certificate to the service that calls. What it names is the caller's alone.
func (a *api) IssueCertificate(ctx context.Context, in autoscaler.IssueCertificateRequestObject) (autoscaler.IssueCertificateResponseObject, error) {
	who, ok := serviceOf(ctx)
	if !ok || who.Pod == "" {
		return nil, fault.New(fault.Forbidden, "a certificate names the pod that a service's token is bound to: a call without such a token gets none")
	}
	certificate, authority, err := a.Certificates.IssueTo(ctx, who, []byte(in.Body.Request))
	if err != nil {
		return nil, err
	}
	return autoscaler.IssueCertificate200JSONResponse{Certificate: string(certificate), Authority: string(authority)}, nil
}

// serviceOf is the service that calls; false where it is none.
func serviceOf(ctx context.Context) (Service, bool) {
	g, _ := guard.From(ctx)
	if g == nil || g.Caller.Kind != access.Service {
		return Service{}, false
	}
	return Service{g.Caller.Account.Namespace, g.Caller.Account.Name, g.Caller.Pod, g.Caller.PodUID}, true
}
