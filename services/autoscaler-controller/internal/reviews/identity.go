package reviews

import (
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/identity"
)

// What Kubernetes adds to a user whose token is bound to a pod.
const (
	podName  = "authentication.kubernetes.io/pod-name"
	podUID   = "authentication.kubernetes.io/pod-uid"
	nodeName = "authentication.kubernetes.io/node-name"
)

// identityOf is the service account that a user is.
func identityOf(user authenticationv1.UserInfo) (identity.Identity, error) {
	rest, ours := strings.CutPrefix(user.Username, "system:serviceaccount:")
	namespace, account, found := strings.Cut(rest, ":")
	if !ours || !found || namespace == "" || account == "" {
		return identity.Identity{}, fault.New(fault.Unauthenticated, "the token names no service account")
	}
	return identity.Identity{
		Name: user.Username, Namespace: namespace, Account: account,
		Pod: first(user.Extra[podName]), PodUID: first(user.Extra[podUID]), Node: first(user.Extra[nodeName]),
	}, nil
}

func first(values authenticationv1.ExtraValue) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
