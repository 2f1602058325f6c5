package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/news"
)

func TestEvents_WhatIsMadeAgainIsToldThoughItIsAsItWas(t *testing.T) {
	for name, follows := range map[string]bool{"somebody saw it go": true, "nobody saw it go": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newParts()
				of, _ := p.fleet.View(key, time.Now())
				h := p.handler(t)
				s := followEvents(t, h, "?wait=1s")
				p.board.Changed(key, true)
				if time.Sleep(500 * time.Millisecond); !slices.Equal(happened(s.all()), []string{"application fib Awake"}) {
					t.Fatal("it is not told")
				}
				if !follows {
					time.Sleep(time.Second)
				}
				p.fleet.Forget(key)
				p.board.Removed(key)
				if time.Sleep(100 * time.Millisecond); follows {
					if got := happened(s.all()); !slices.Equal(got, []string{"removed fib"}) {
						t.Fatalf("%v", got)
					}
				} else if s = followEvents(t, h, "?wait=1s"); len(s.all()) != 0 {
					t.Fatal("it begins with something")
				}
				p.fleet.Observe(of.Observation, time.Now())
				p.board.Changed(key, true)
				time.Sleep(100 * time.Millisecond)
				if got := happened(s.all()); !slices.Equal(got, []string{"application fib Awake"}) {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

func TestTold_ADecisionIsMadeOnceForAllAndFewAreHeld(t *testing.T) {
	made, records := told{}, make([]fleet.Record, 3*eventsAtOnce)
	for i := range records {
		records[i].ID = fmt.Sprint(i)
		one, another := made.decision(&records[i]), made.decision(&records[i])
		if &one[0] != &another[0] || !strings.Contains(string(one), fmt.Sprintf(`"id":"%d"`, i)) {
			t.Fatalf("%d is made for each: %s", i, one)
		}
		if len(made.decisions) > eventsAtOnce {
			t.Fatalf("%d are held", len(made.decisions))
		}
	}
}

func TestTold_NothingIsHeldOfWhatHasGone(t *testing.T) {
	p, made := newParts(), told{}
	a := &api{Options: Options{Fleet: p.fleet}}
	if one := made.of(a, news.Item{N: 1, Key: key}); one.data == nil || len(made.by) != 1 {
		t.Fatalf("%d are held", len(made.by))
	}
	made.forget(fleet.Key{Namespace: "default", Deployment: "other"})
	if len(made.by) != 1 {
		t.Error("another one went")
	}
	p.fleet.Forget(key)
	if made.forget(key); len(made.by) != 0 {
		t.Error("it is held")
	}
	if one := made.of(a, news.Item{N: 2, Key: key}); one.data != nil || len(made.by) != 0 {
		t.Errorf("%s, %d are held", one.data, len(made.by))
	}
}

func TestEvents_SayWhatIsMissingAndSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts()
		of, _ := p.fleet.View(key, time.Now())
		of.Spec.CPUThreshold = 700 // nothing has measured the pod
		p.fleet.Observe(of.Observation, time.Now())
		s := followEvents(t, p.handler(t), "")
		for _, c := range []struct {
			conditions []fleet.Condition
			says       bool
		}{
			{nil, false}, {[]fleet.Condition{{Type: "ThresholdsActive", Reason: "MetricsMissing", Since: long}}, true},
			{[]fleet.Condition{{Type: "ThresholdsActive", OK: true, Since: long}}, false},
		} {
			p.conditions = c.conditions
			p.board.Changed(key, true)
			time.Sleep(200 * time.Millisecond)
			all := s.all()
			if len(all) != 1 || strings.Contains(all[0].data, `"metricsMissingSince":"2020-01-02T03:04:05Z"`) != c.says {
				t.Errorf("%v: %v", c.conditions, all)
			}
			asJSON(t, json.RawMessage(all[0].data), "ApplicationChange")
		}
	})
}
