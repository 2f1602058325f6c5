package controller

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/nemesis-scaling/nemesis/gen/common"
)

// maxProblem bounds how much of a refusal goes into a log line.
const maxProblem = 512

// problemOf is an answer that is not what was asked for.
func problemOf(status int, body []byte) error {
	return fmt.Errorf("%d %s: %.*s", status, http.StatusText(status), maxProblem, body)
}

// readProblem is what the controller says in its problem document; false when the body is none.
func readProblem(body []byte) (p common.Problem, ok bool) {
	err := json.Unmarshal(body, &p)
	return p, err == nil && p.Code != ""
}
