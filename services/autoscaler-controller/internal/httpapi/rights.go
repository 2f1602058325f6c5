package httpapi

import (
	"net/http"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// offered are the rights that a page wants to know, for what it offers.
var offered = []access.Right{
	{Verb: access.Update}, {Verb: access.Create, Subresource: "request"},
	{Verb: access.Get, Subresource: "settings"}, {Verb: access.Update, Subresource: "settings"},
	{Verb: access.List, Subresource: "decisions"},
}

// GetRights says who calls and what it may. The strict server's would not have the token.
func (s *server) GetRights(w http.ResponseWriter, r *http.Request, params autoscaler.GetRightsParams) {
	token, given, err := guard.Token(r.Header)
	if err != nil {
		s.api.refuse(w, r, err)
		return
	}
	namespace := value(params.Namespace, "")
	out := autoscaler.Rights{User: s.api.granted(r.Context()).Caller.Name, Allowed: []string{}}
	if s.api.TraceURL != "" {
		out.TraceUrl = &s.api.TraceURL
	}
	for _, right := range offered {
		may := s.api.Guard == nil || !given // nobody has to say who it is
		if !may {
			if may, err = s.api.may(r, token, right, namespace); err != nil {
				s.api.refuse(w, r, err)
				return
			}
		}
		if may {
			out.Allowed = append(out.Allowed, right.Verb+" "+right.Resource())
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(encoded(out)) // the client has gone: nothing to do
}

// may tells whether the bearer of a token has a right in a namespace; in all of them where that is "".
func (a *api) may(r *http.Request, token string, right access.Right, namespace string) (bool, error) {
	var in []string
	if namespace != "" {
		in = []string{namespace}
	}
	review, err := a.Guard.Review(r.Context(), token, right, in)
	return review.Everywhere || len(review.Namespaces) > 0, err
}
