package serving_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/serving"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type answered struct {
	body string
	err  error
}

// begin sends a request that is in its handler when begin returns.
func begin(t *testing.T, drain time.Duration) (address string, end, release func(), answer <-chan answered, ran <-chan error) {
	t.Helper()
	entered, released := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-released:
			_, _ = io.WriteString(w, "finished")
		case <-r.Context().Done():
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	l := listen(t)
	result, response := make(chan error, 1), make(chan answered, 1)
	log := slog.New(slog.DiscardHandler)
	go func() { result <- serving.Run(ctx, serving.New(handler, log), l, drain, log) }()
	go func() {
		res, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			response <- answered{err: err}
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		response <- answered{string(body), err}
	}()
	<-entered
	return l.Addr().String(), cancel, func() { close(released) }, response, result
}

func TestRun_FinishesWhatIsInFlightAndTakesNothingNew(t *testing.T) {
	address, end, release, answer, ran := begin(t, time.Minute)
	end()
	for { // the listener closes soon after; until then connections are still taken
		c, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = c.Close()
	}
	select {
	case err := <-ran:
		t.Fatalf("returned with a request in flight: %v", err)
	default:
	}
	release()
	if got := <-answer; got.err != nil || got.body != "finished" {
		t.Errorf("the request in flight got %+v", got)
	}
	if err := <-ran; err != nil {
		t.Errorf("drained, but returned %v", err)
	}
}

func TestRun_SaysWhenTheDrainLimitCutRequests(t *testing.T) {
	_, end, _, answer, ran := begin(t, time.Millisecond)
	end()
	if err := <-ran; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := <-answer; got.err == nil {
		t.Errorf("a request that was cut got %+v", got)
	}
}

func TestRun_ReturnsWhenItCannotServe(t *testing.T) {
	l := listen(t)
	_ = l.Close()
	log := slog.New(slog.DiscardHandler)
	if err := serving.Run(context.Background(), serving.New(http.NotFoundHandler(), log), l, time.Second, log); err == nil {
		t.Error("no error for a closed listener")
	}
}
