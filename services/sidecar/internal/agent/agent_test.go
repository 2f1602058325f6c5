package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/schedule"
)

// world is a pod that is measured and a controller that is told, or is away.
type world struct {
	mu       sync.Mutex
	began    time.Time
	measured int
	pushes   []push
	away     error
	slow     time.Duration
}

type push struct{ Made, Age, At float64 } // seconds

func (w *world) Collect(context.Context) pod.Measurement {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.measured++
	m := pod.New(time.Now())
	m.Set(pod.Memory, float64(w.measured))
	return m
}

func (w *world) Send(ctx context.Context, m pod.Measurement, age time.Duration) error {
	w.mu.Lock()
	away, slow := w.away, w.slow
	w.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return ctx.Err()
	}
	if away != nil {
		return away
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pushes = append(w.pushes, push{m.At.Sub(w.began).Seconds(), age.Seconds(), time.Since(w.began).Seconds()})
	return nil
}

func (w *world) be(away error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = away
}

func (w *world) seen() []push {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]push(nil), w.pushes...)
}

// bubble is an agent at work, in which time passes when all wait.
type bubble struct {
	*testing.T
	*Agent
}

func run(t *testing.T, w *world, test func(b bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w.began = time.Now()
		a := New(Options{
			Collector: w, Sender: w, Log: slog.New(slog.DiscardHandler),
			Schedule: schedule.Options{
				Interval: 5 * time.Second, FirstPause: time.Second, BackOffFirst: time.Second, BackOffLongest: 30 * time.Second,
				Random: func() float64 { return 0.999 },
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); a.Run(ctx) }()
		test(bubble{t, a})
		stop()
		<-ended
		if err := a.Collect(t.Context()); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a command after the end: %v", err)
		}
	})
}

func TestRun_MeasuresAndSendsAtOnceThenAfterASecondThenAtTheInterval(t *testing.T) {
	w := &world{}
	run(t, w, func(b bubble) {
		time.Sleep(12 * time.Second)
		synctest.Wait()
		want := []push{{0, 0, 0}, {1, 0, 1}, {6, 0, 6}, {11, 0, 11}}
		if diff := cmp.Diff(want, w.seen()); diff != "" {
			b.Errorf("pushes (-want +got):\n%s", diff)
		}
		if s := b.State(); !s.Measured || s.Delivery.Sent != 4 || s.Delivery.Waiting != 0 {
			b.Errorf("%+v", s)
		}
	})
}

func TestRun_RestsOnceAllThatIsDueIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{began: time.Now()}
		var rested []int // how many pushes there were
		a := New(Options{
			Collector: w, Sender: w, Log: slog.New(slog.DiscardHandler), Rest: func() { rested = append(rested, len(w.seen())) },
			Schedule: schedule.Options{
				Interval: 5 * time.Second, FirstPause: time.Second, BackOffFirst: time.Second, BackOffLongest: 30 * time.Second,
				Random: func() float64 { return 0.999 },
			},
		})
		ctx, stop := context.WithTimeout(t.Context(), 7*time.Second)
		defer stop()
		a.Run(ctx)
		if diff := cmp.Diff([]int{1, 2, 3}, rested); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRun_TellsAControllerThatIsBackWhatIsSoNowAndNothingElse(t *testing.T) {
	w := &world{away: errors.New("connection refused")}
	run(t, w, func(b bubble) {
		time.Sleep(32 * time.Second) // measured at 0, 1, 6, 11, 16, 21, 26, 31
		synctest.Wait()
		if s := b.State().Delivery; s.Waiting != 1 || s.Dropped != 7 || s.LastError == "" || s.Sent != 0 {
			b.Errorf("while it is away: %+v", s)
		}
		w.be(nil)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		pushes := w.seen()
		for i := 1; i < len(pushes); i++ {
			if pushes[i].Made <= pushes[i-1].Made {
				b.Errorf("sent out of order: %v", pushes)
			}
		}
		if len(pushes) < 2 || pushes[0].Made < 31 || pushes[0].Age > 5 || pushes[0].Made+pushes[0].Age != pushes[0].At {
			b.Errorf("the first is not the newest, with its age: %v", pushes)
		}
		if s := b.State().Delivery; s.Waiting != 0 || s.LastError != "" {
			b.Errorf("when it is back: %+v", s)
		}
	})
}

func TestCollect_MeasuresNowAndSendsWithTheNextPush(t *testing.T) {
	w := &world{}
	run(t, w, func(b bubble) {
		time.Sleep(2 * time.Second)
		if err := b.Collect(b.Context()); err != nil {
			b.Fatal(err)
		}
		if v, _ := b.State().Measurement.Value(pod.Memory); v != 3 {
			b.Errorf("the state holds measurement %v, want the one just made", v)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if n := len(w.seen()); n != 2 {
			b.Errorf("%d pushes before the next one is due", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]push{{0, 0, 0}, {1, 0, 1}, {2, 4, 6}, {7, 0, 7}}, w.seen()); diff != "" {
			b.Errorf("pushes (-want +got):\n%s", diff)
		}
	})
}

func TestSend_MeasuresNowAndSendsThat(t *testing.T) {
	w := &world{away: errors.New("connection refused")}
	run(t, w, func(b bubble) {
		time.Sleep(7 * time.Second)
		synctest.Wait()
		w.be(nil)
		if err := b.Send(b.Context()); err != nil {
			b.Fatal(err)
		}
		if diff := cmp.Diff([]push{{7, 0, 7}}, w.seen()); diff != "" {
			b.Errorf("pushes (-want +got):\n%s", diff)
		}
	})
}

func TestSend_SaysWhyNothingWasTaken(t *testing.T) {
	w := &world{away: errors.New("connection refused")}
	run(t, w, func(b bubble) {
		synctest.Wait()
		if err := b.Send(b.Context()); err == nil || err.Error() != "connection refused" {
			b.Errorf("error is %v", err)
		}
		w.be(&schedule.RefusedError{Detail: "400 Bad Request"})
		err := b.Send(b.Context())
		if !schedule.Final(err) {
			b.Errorf("error is %v", err)
		}
		if delivery := b.State().Delivery; delivery.Waiting != 0 || delivery.Refused != 1 {
			b.Errorf("a refused one waits: %+v", delivery)
		}
	})
}

func TestCommand_EndsWithItsCaller(t *testing.T) {
	w := &world{slow: time.Minute}
	run(t, w, func(b bubble) {
		synctest.Wait() // the first push hangs
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if err := b.Collect(ctx); !errors.Is(err, context.DeadlineExceeded) {
			b.Errorf("error is %v", err)
		}
	})
}
