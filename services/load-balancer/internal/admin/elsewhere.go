package admin

import (
	"context"

	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// elsewhere has the places in the strict server of the operations that api takes before it: they
// are never asked. Were one of them asked all the same, it says so.
type elsewhere struct{}

func missed() error { return fault.New(fault.Internal, "") }

// ProxyRequest is api's.
func (elsewhere) ProxyRequest(context.Context, loadbalancer.ProxyRequestRequestObject) (loadbalancer.ProxyRequestResponseObject, error) {
	return nil, missed()
}

// QueryTargetApp is api's.
func (elsewhere) QueryTargetApp(context.Context, loadbalancer.QueryTargetAppRequestObject) (loadbalancer.QueryTargetAppResponseObject, error) {
	return nil, missed()
}

// ChangeTargetApp is api's.
func (elsewhere) ChangeTargetApp(context.Context, loadbalancer.ChangeTargetAppRequestObject) (loadbalancer.ChangeTargetAppResponseObject, error) {
	return nil, missed()
}

// ActOnTargetApp is api's.
func (elsewhere) ActOnTargetApp(context.Context, loadbalancer.ActOnTargetAppRequestObject) (loadbalancer.ActOnTargetAppResponseObject, error) {
	return nil, missed()
}

// UpdateTargetApp is api's.
func (elsewhere) UpdateTargetApp(context.Context, loadbalancer.UpdateTargetAppRequestObject) (loadbalancer.UpdateTargetAppResponseObject, error) {
	return nil, missed()
}
