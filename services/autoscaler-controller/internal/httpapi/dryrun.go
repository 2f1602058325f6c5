package httpapi

import (
	"bytes"
	"io"
	"mime"
	"net/http"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

const dryRun = "dryRun"

// noted tells whether a call on an object is a change that is taken note of: one that is passed on as out and is no dry
// run to the API server. Of a DELETE with a body that one reads the body alone, and what the query says counts for
// nothing, so that a call with both is refused: by it something could be deleted of which nobody took note.
func (a *api) noted(r, out *http.Request) (bool, error) {
	if a.Audit == nil || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return false, nil
	}
	inQuery := r.URL.Query().Has(dryRun)
	if r.Method != http.MethodDelete || out.Body == nil {
		return !inQuery, nil
	}
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return false, contract.Refusal(err, http.StatusBadRequest)
	}
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	switch {
	case len(body) == 0:
		out.Body = http.NoBody
		return !inQuery, nil
	case inQuery:
		return false, fault.New(fault.Invalid, "").With(dryRun, r.URL.Query().Get(dryRun), "in the body alone, as there is one: of a DELETE with a body the query counts for nothing")
	}
	return !isDryRun(body, r.Header.Get("Content-Type")), nil
}

// isDryRun tells whether options of a DELETE say so. They are read as the API server reads them, and what is not read
// here is taken for no dry run.
func isDryRun(options []byte, media string) bool {
	if kind, _, err := mime.ParseMediaType(media); media != "" && (err != nil || kind != "application/json") {
		return false
	}
	var said struct {
		DryRun []string `json:"dryRun"`
	}
	return utiljson.Unmarshal(options, &said) == nil && len(said.DryRun) > 0
}
