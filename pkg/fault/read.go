package fault

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// maxCause bounds how much of a refusal goes into the log.
const maxCause = 512

// Read is the refusal that another service answered with. It is false when the body is no problem
// document: the error then has the status' code and no detail. The cause has the status and the
// start of the body, for the log.
func Read(status int, body []byte) (*Error, bool) {
	e := New(FromStatus(status), "").Because(fmt.Errorf("%d %s: %.*s", status, http.StatusText(status), maxCause, body))
	var p problem
	if err := json.Unmarshal(body, &p); err != nil || p.Code == "" {
		return e, false
	}
	if p.Code.Status() == status { // else it is of a vocabulary that is not ours
		e.Code = p.Code
	}
	e.Detail = cut(p.Detail, maxDetail)
	e.RetryAfter = time.Duration(min(max(p.RetryAfterSeconds, 0), maxRetryAfter)) * time.Second
	for _, f := range p.Errors[:min(len(p.Errors), maxFields)] {
		e.With(f.Field, f.Value, f.Allowed)
	}
	return e, true
}

// maxRetryAfter is the contract's, in seconds.
const maxRetryAfter = 86400
