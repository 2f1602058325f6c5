package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/apiserver"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/drivers"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/objects"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/report"
	"github.com/nemesis-scaling/nemesis/e2e/bench/controller/internal/subject"
	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/process"
)

const (
	balancers = 4
	// Of each ten applications one is awake, with so many pods that there are ten for each application, as far as
	// that is not more than is wanted. The last release gets a tenth of that.
	awakeOf, podsOf = 10, 10
	// wakeEvery is how often one application is woken at most: less than a person would bear.
	wakeEvery = 45
)

// build is a controller that is measured.
type build struct {
	name, binary, crd string
	sizes             []int
	podsOf            int // pods for each application
	secured           bool
	history           string // the program that makes the history of a day; "": there is none
	settle            time.Duration
}

// bench is one build on its API server.
type bench struct {
	options
	build
	out    io.Writer
	server *apiserver.Server
	made   int            // applications
	empty  subject.Memory // of a controller that has no application
	lives  int            // controllers that were started
	seen   *sightings

	leader    *subject.Subject
	service   *drivers.Service
	balancers *drivers.Balancers
	awake     []objects.App // have pods
	asleep    []objects.App
	next      int // of asleep: is woken next
	pods      []objects.Pod
	perApp    int  // pods of each that is awake
	restless  bool // it did not come to rest at this size
	last      bool // there is no size after this
}

func measure(ctx context.Context, out io.Writer, o options) (err error) {
	book := &report.Book{Time: time.Now().UTC(), About: map[string]string{report.Ours: "this revision", report.Released: o.about}, Setting: map[string]any{
		"seconds": o.seconds, "wakeups": o.wakeups, "pods": o.pods, "balancers": balancers, "priority": o.priority, "secured": o.secured, "day": o.day,
	}}
	if o.secured {
		book.Notes = append(book.Notes, report.Ours+": with TLS and tokens ("+strings.Join(subject.Environment(true), " ")+")")
	}
	if !o.secured || o.released != "" {
		book.Notes = append(book.Notes, "in clear text and without tokens, as with the last release ("+strings.Join(subject.Environment(false), " ")+"): what tokens cost, SECURED=yes and `make bench-pushes` say")
	}
	builds := []build{oursOf(o)}
	if o.released != "" && len(o.releasedSizes) > 0 {
		builds = append([]build{{name: report.Released, binary: o.released, crd: o.releasedCRD, sizes: o.releasedSizes, podsOf: 1, settle: o.settle / 3}}, builds...)
	}
	for _, b := range builds {
		if err = (&bench{options: o, build: b, out: out}).run(ctx, book); err != nil {
			break
		}
	}
	book.Table(out)
	book.Judge(out)
	return errors.Join(err, book.Write(o.out))
}

func oursOf(o options) build {
	b := build{name: report.Ours, binary: o.ours, crd: o.oursCRD, sizes: o.sizes, podsOf: podsOf, settle: o.settle, secured: o.secured}
	if o.day {
		b.history = o.history
	}
	return b
}

// run measures one build at each of its sizes. The objects of a size stay for the next.
func (b *bench) run(ctx context.Context, book *report.Book) (err error) {
	if err := b.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.Stop()) }()
	for i, n := range b.build.sizes {
		b.last = i == len(b.build.sizes)-1
		r := &report.Run{Build: b.name, Applications: n, Secured: b.build.secured, Day: b.build.history != "", Figures: map[string]float64{}}
		err := b.size(ctx, r)
		if err != nil {
			err = fmt.Errorf("%s at %d applications: %w", b.name, n, err)
			r.Note("it ended early: what was measured until then is shown")
		}
		if len(r.Figures) > 0 {
			book.Add(r)
		}
		if err := errors.Join(err, book.Write(b.options.out)); err != nil {
			return err
		}
	}
	return nil
}

// open starts the API server with the build's resource, and measures a controller that has nothing to do.
func (b *bench) open(ctx context.Context) (err error) {
	b.say("starting etcd and the API server")
	b.server, err = apiserver.Start(ctx, apiserver.Options{
		Binary: b.kubernetes, Dir: filepath.Join(b.work, "server-"+b.name), Cores: process.Others(subjectCPU),
	})
	if err != nil {
		return err
	}
	b.seen = newSightings()
	err = errors.Join(b.resource(ctx), b.server.Create(ctx, "/api/v1/namespaces", objects.Namespace(objects.System)), b.server.WatchDeployments(ctx, b.seen.see))
	if err == nil {
		err = b.serve(ctx)
	}
	if err == nil {
		pause(ctx, 3*time.Second)
		b.empty, err = b.leader.Memory(ctx)
	}
	if err == nil {
		err = b.close()
	}
	if err != nil {
		err = errors.Join(err, b.server.Stop())
	}
	return err
}

// resource applies the CustomResourceDefinition and waits until it is served.
func (b *bench) resource(ctx context.Context) error {
	const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	definition, err := os.ReadFile(b.crd)
	if err != nil {
		return err
	}
	if _, err := b.server.Do(ctx, apiserver.Call{Method: "POST", Path: definitions, Type: apiserver.YAML, Body: definition}); err != nil {
		return err
	}
	for try := 0; ; try++ {
		_, err := b.server.Do(ctx, apiserver.Call{Method: "GET", Path: objects.New(0).AutoscalersPath()})
		if err == nil || try == 100 {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// controller starts one more replica.
func (b *bench) controller(ctx context.Context) (*subject.Subject, error) {
	b.lives++
	return subject.Start(ctx, subject.Options{
		Binary: b.binary, Kubeconfig: b.server.Kubeconfig, Dir: b.work, Name: fmt.Sprintf("controller-%s-%d", b.name, b.lives), CPU: subjectCPU, Secured: b.build.secured,
	})
}

// serve starts a controller, and load balancers that report to it.
func (b *bench) serve(ctx context.Context) (err error) {
	b.leader, err = b.controller(ctx)
	if err != nil {
		return err
	}
	b.service = drivers.NewService(b.leader.Address)
	if b.service.Secured, err = b.secure(ctx, b.leader.Address); err != nil {
		return errors.Join(err, b.leader.Stop())
	}
	b.balancers = drivers.StartBalancers(ctx, balancers, b.service)
	return nil
}

// close ends them.
func (b *bench) close() error {
	b.balancers.Stop()
	return b.leader.Stop()
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.out, "%s %s: %s\n", time.Now().Format(time.TimeOnly), b.name, fmt.Sprintf(format, args...))
}

func (b *bench) span() time.Duration { return time.Duration(b.seconds * float64(time.Second)) }

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
