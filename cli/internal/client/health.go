package client

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/nemesis-scaling/nemesis/gen/common"
)

// healthLimit bounds what is read of a page that should be short.
const healthLimit = 64 << 10

// health reads what /readyz answered: of 200 and 503 alike.
func health(answer *http.Response) (common.Health, error) {
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, healthLimit))
	if err != nil {
		return common.Health{}, err
	}
	var h common.Health
	if json.Unmarshal(body, &h) != nil || h.Status == "" {
		return h, refusalOf(answer.StatusCode, body)
	}
	return h, nil
}
