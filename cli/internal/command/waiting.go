package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
	"github.com/nemesis-scaling/nemesis/gen/loadbalancer"
)

func waiting(t *tool) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "waiting [APP]", GroupID: asks,
		Short: "Who waits now, since when, for what, and how long still",
		Long: `The requests that are held because no pod is free for them, at all load balancers, those first whose time is over first: since when they
wait, what for (a start, or a free pod), and what is left until they are answered 503 or 429. Load balancers that are older than this
command say how many wait and no more.`,
		Example: `  nemesis waiting -A --watch
  nemesis waiting modelserver -o json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: t.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := within("--limit", limit, 100); err != nil {
				return err
			}
			of := client.Name{Namespace: t.namespace()}
			if len(args) == 1 {
				var err error
				if of, err = t.applicationOf(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			return t.show(cmd.Context(), func(ctx context.Context) (view, error) {
				lists, whole, err := t.whoWaits(ctx, of, limit)
				return view{lists, func(w io.Writer) { t.waiters(w, lists, whole) }}, err
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 20, "at most so many requests of each application at each load balancer")
	return t.allFlag(t.watchFlags(c))
}

// whoWaits asks all load balancers.
func (t *tool) whoWaits(ctx context.Context, of client.Name, limit int) ([]loadbalancer.WaitingList, bool, error) {
	balancers, whole, err := t.nemesis.Balancers(ctx)
	if err != nil {
		return nil, false, err
	}
	lists := make([]loadbalancer.WaitingList, 0, len(balancers))
	for _, b := range balancers {
		list, err := b.Waiting(ctx, of, limit)
		if client.NotFound(err) { // of a version that does not say who
			list, err = t.howMany(ctx, b, of)
		}
		if err != nil {
			return nil, false, err
		}
		lists = append(lists, list)
	}
	return lists, whole, nil
}

// howMany is what a load balancer of an older version says.
func (t *tool) howMany(ctx context.Context, b client.Balancer, of client.Name) (loadbalancer.WaitingList, error) {
	state, err := b.State(ctx, of)
	list := loadbalancer.WaitingList{Balancer: state.Balancer, At: t.Now(), Items: []loadbalancer.WaitingRoom{}}
	for _, a := range state.Applications {
		if a.Waiting > 0 {
			list.Items = append(list.Items, loadbalancer.WaitingRoom{
				Namespace: a.Namespace, Deployment: a.Deployment, Waiting: a.Waiting, WaitingBytes: a.WaitingBytes, Requests: []loadbalancer.WaitingRequest{},
			})
		}
	}
	return list, err
}

// waiter is a request that waits, where it does, and what it waits for.
type waiter struct {
	loadbalancer.WaitingRequest
	room     loadbalancer.WaitingRoom
	balancer string
	at       time.Time
}

func (t *tool) waiters(w io.Writer, lists []loadbalancer.WaitingList, whole bool) {
	var all []waiter
	count, rooms, of := int32(0), map[string]string{}, map[string]int32{}
	for _, list := range lists {
		for _, room := range list.Items {
			count += room.Waiting
			name := room.Namespace + "/" + room.Deployment
			of[name] += room.Waiting
			_, since := awaited(room)
			rooms[name] = strings.Trim(since+"; "+value(room.Why), "; ")
			for _, r := range room.Requests {
				all = append(all, waiter{r, room, list.Balancer, list.At})
			}
		}
	}
	asked := show.Count(len(lists), "load balancer", "load balancers")
	if !whole {
		asked += " (you may not see how many there are)"
	}
	if count == 0 {
		fmt.Fprintf(w, "Nobody waits, at %s.\n", asked)
		return
	}
	slices.SortStableFunc(all, func(a, b waiter) int { return a.Deadline.Compare(b.Deadline) })
	fmt.Fprintln(w, t.palette().Paint(show.Faint, fmt.Sprintf("%s, for %s, at %s", waits(count), show.Count(len(rooms), "application", "applications"), asked)))
	if len(all) > 0 {
		t.waitersTable(w, all)
	}
	for _, name := range sortedKeys(rooms) {
		fmt.Fprintf(w, "%s: %s\n", name, show.Line(strings.TrimSuffix(waits(of[name])+"; "+rooms[name], "; ")))
	}
}

func (t *tool) waitersTable(w io.Writer, all []waiter) {
	table := show.Table{Heads: []string{"APPLICATION", "WAITS SINCE", "FOR", "LEFT", "METHOD", "PATH", "CLIENT"}}
	if t.wide() {
		table.Heads = append(table.Heads, "HOLDS", "TRIES", "TRACE", "LOAD BALANCER")
	}
	for _, x := range all {
		what, _ := awaited(x.room)
		left := show.Cell{Text: show.Duration(x.Deadline.Sub(x.at))}
		if x.Deadline.Sub(x.at) < 5*time.Second {
			left.Tone = show.Bad
		}
		cells := []show.Cell{
			{Text: x.room.Namespace + "/" + x.room.Deployment, Tone: show.Strong}, {Text: show.Duration(x.at.Sub(x.ArrivedAt))}, {Text: what, Tone: show.Busy}, left,
			{Text: value(x.Method)}, {Text: value(x.Path)}, {Text: value(x.ClientIp)},
		}
		if t.wide() {
			cells = append(cells, show.Cell{Text: show.Bytes(x.Bytes)}, show.Cell{Text: fmt.Sprint(x.Tries)}, show.Cell{Text: value(x.TraceId)}, show.Cell{Text: x.balancer})
		}
		table.Cells(cells...)
	}
	table.Write(w, t.palette())
}

func waits(n int32) string { return show.Count(int(n), "request waits", "requests wait") }

// awaited is what requests wait for, and how it is that they must.
func awaited(room loadbalancer.WaitingRoom) (what, since string) {
	switch room.WaitsFor {
	case loadbalancer.FreePod:
		return "a free pod", "pods serve, and are full"
	case loadbalancer.Start:
		return "a start", "no pod serves"
	default:
		return string(room.WaitsFor), ""
	}
}
