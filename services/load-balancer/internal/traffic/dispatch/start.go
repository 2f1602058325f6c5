package dispatch

import (
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// RefusedStartError is a definite no of the controller: asking again sooner would not help.
type RefusedStartError struct {
	Detail string // in the controller's words, for the client that waits
}

func (e *RefusedStartError) Error() string { return "the controller refused the start: " + e.Detail }

// StartCall is what the controller is asked.
type StartCall struct {
	App       routing.Application
	Waiting   int       // requests
	ArrivedAt time.Time // when the one that waits longest came
}

// Started is what it answers.
type Started struct {
	Scaled        bool          // this very call changed the Deployment
	ExpectedStart time.Duration // how long a start took lately; 0 is not known
	Message       string
}
