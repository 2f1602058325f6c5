package send

import (
	"fmt"
	"net/http"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
)

// Refusal says what an answer means that took nothing.
func Refusal(status int, line string, body []byte) error {
	read, _ := fault.Read(status, body)
	detail := line
	if read.Detail != "" {
		detail += ": " + read.Detail
	}
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		refused := &schedule.RefusedError{Detail: detail}
		for _, f := range read.Fields {
			refused.Fields = append(refused.Fields, f.Field)
		}
		return refused
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return &schedule.BusyError{After: read.RetryAfter, Detail: detail}
	default:
		return fmt.Errorf("the controller answered %s", detail)
	}
}
