package kube

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

// Refusal says in our words why the API server did not do what the controller asked of it.
func Refusal(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return fault.New(fault.Conflict, "cannot %s: it does not exist", what).Because(err)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fault.New(fault.Unavailable, "the controller may not %s: %s", what, Message(err)).Because(err).After(5 * time.Second)
	case apierrors.ReasonForError(err) == "":
		return fault.New(fault.Unavailable, "cannot %s: the Kubernetes API server does not answer", what).Because(err).After(time.Second)
	default:
		return fault.New(fault.Unavailable, "cannot %s: %s", what, Message(err)).Because(err).After(time.Second)
	}
}

// Message is the API server's own text.
func Message(err error) string {
	if status, ok := err.(apierrors.APIStatus); ok {
		return status.Status().Message
	}
	return err.Error()
}
