package dispatch

import (
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

// blockedGrace is how long a request waits although its start cannot succeed: what is said of it may
// be of a moment ago, and the start call that this request causes may find it mended.
const blockedGrace = 2 * time.Second

// grace is how long a request waits all the same. What somebody wants so is no matter of a moment.
func grace(b routing.Blocked) time.Duration {
	if b.Reason == "Paused" || b.Reason == "Contested" {
		return 0
	}
	return blockedGrace
}

// startRefused is the reason of a start that the controller refused.
const startRefused = "StartRefused"

// BlockedError is that no pod will come, whatever is waited for.
type BlockedError struct{ Blocked routing.Blocked }

func (e *BlockedError) Error() string {
	return "the start cannot succeed: " + e.Blocked.Reason + ": " + e.Blocked.Message
}

// block is why a start cannot succeed. Two may say so, and the one does not take back what the other
// has said.
type block struct {
	route routing.Blocked // came with the route
	call  routing.Blocked // was the answer to the last start call
	since time.Time       // when the first of them came here, by our own clock
}

// now is what blocks, and since when that is known here; the zero value when nothing does.
func (b *block) now() (routing.Blocked, time.Time) {
	if b.call.Reason != "" {
		return b.call, b.since
	}
	return b.route, b.since
}

func (b *block) byRoute(said routing.Blocked, now time.Time) {
	b.route = said
	b.date(now)
}

func (b *block) byCall(said routing.Blocked, now time.Time) {
	b.call = said
	b.date(now)
}

func (b *block) date(now time.Time) {
	switch blocked, _ := b.now(); {
	case blocked.Reason == "":
		b.since = time.Time{}
	case b.since.IsZero():
		b.since = now
	}
}

// Nameless is why no pod of the application can start, without a name: of an image, a quota, a node, a
// namespace. Of what the cluster says that is the one word for programs; the controller's own refusal has no
// other name than the application's.
func Nameless(b routing.Blocked, app routing.Application) string {
	if b.Reason == startRefused {
		if said := nameless(b.Message, app); said != "" {
			return said
		}
	}
	return b.Reason
}

// nameless is a text of the controller's without the application's name; "" when there is more of it in it.
func nameless(text string, app routing.Application) string {
	id := app.Namespace + "/" + app.Deployment
	text = strings.ReplaceAll(text, "the Deployment "+id, "its Deployment")
	text = strings.ReplaceAll(text, id, "the application")
	if strings.Contains(text, app.Namespace) || strings.Contains(text, app.Deployment) {
		return ""
	}
	return text
}
