package bearer

import "github.com/nemesis-scaling/nemesis/pkg/figures"

// Figures are the token's.
func (t *Token) Figures() []figures.Family {
	state := t.State()
	return []figures.Family{
		figures.Of(figures.Gauge, "nemesis_token_sent", "1 while this service has a token of its own to send to the others.", figures.Yes(state.Sent)),
		figures.By(figures.Counter, "nemesis_token_refusals_total", "Exchanges in which another service did not take this one's token (401) or did not let it (403).", "status",
			figures.At("401", float64(state.Unauthorized)), figures.At("403", float64(state.Forbidden))),
	}
}
