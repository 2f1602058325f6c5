package command

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

// taking is how the load balancers take the pods of an application: of each pod what each of them says.
type taking struct {
	of   map[string][]loadbalancer.EndpointState
	said string // what is to be known of it besides; "" is nothing
}

// takingOf asks the load balancers. That one cannot be asked, or may not be, keeps nobody from seeing the rest.
func (t *tool) takingOf(ctx context.Context, a autoscaler.Application) taking {
	all, whole, err := t.nemesis.Balancers(ctx)
	if err != nil {
		return taking{said: fmt.Sprintf("How load balancers take the pods is not known: %v", err)}
	}
	got := taking{of: map[string][]loadbalancer.EndpointState{}}
	for _, b := range all {
		state, err := b.State(ctx, client.Of(a))
		if err != nil {
			got.said = fmt.Sprintf("Not every load balancer says how it takes the pods: %v", err)
			continue
		}
		for _, app := range state.Applications {
			if app.Namespace != a.Namespace || app.Deployment != a.Deployment {
				continue
			}
			for _, e := range app.Endpoints {
				got.of[e.Pod] = append(got.of[e.Pod], e)
			}
		}
	}
	if !whole && got.said == "" {
		got.said = "One load balancer was asked: you may not see how many there are."
	}
	return got
}

// inFlight is what the pod itself says or else what the load balancers have on it.
func (g taking) inFlight(p autoscaler.Pod) string {
	if own := measured(p).InFlight; own != nil {
		return show.Number(*own)
	}
	ends := g.of[p.Name]
	if len(ends) == 0 {
		return ""
	}
	var sum int32
	for _, e := range ends {
		sum += e.InFlight
	}
	return fmt.Sprint(sum)
}

// cell is how a pod is taken, in a word; where load balancers take it differently, in a word of each.
func (g taking) cell(p autoscaler.Pod) show.Cell {
	ends := g.of[p.Name]
	if len(ends) == 0 {
		return show.Cell{}
	}
	count := map[string]int{}
	for _, e := range ends {
		count[takenAs(e)]++
	}
	said := sortedKeys(count)
	tone := show.Good
	if len(count) > 1 || count[usable] == 0 {
		tone = show.Busy
	}
	if count["ejected"] > 0 {
		tone = show.Bad
	}
	if len(said) > 1 {
		if at := slices.Index(said, usable); at >= 0 { // what is as it should be comes last
			said = append(slices.Delete(said, at, at+1), usable)
		}
		for i, word := range said {
			said[i] = fmt.Sprintf("%s at %d of %d", word, count[word], len(ends)) // as the console says it
		}
	}
	return show.Cell{Text: strings.Join(said, ", "), Tone: tone}
}

const usable = "usable"

// words are those by which a reason begins that has one.
var words = regexp.MustCompile(`^(ejected|draining|busy|ramping up|starting|terminating)\b`)

// takenAs is how a load balancer takes a pod, in a word, as the console says it; its why has more.
func takenAs(e loadbalancer.EndpointState) string {
	if word := words.FindString(value(e.Why)); word != "" {
		return word
	}
	if e.Usable {
		return usable
	}
	return "not usable"
}
