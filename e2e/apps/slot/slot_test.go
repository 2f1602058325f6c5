package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

func ask(s *slot, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestSlot_AnswersOneAtATimeAndCountsWhatItGets(t *testing.T) {
	began, end := make(chan struct{}, 2), make(chan struct{})
	s := &slot{sleep: func(time.Duration) { began <- struct{}{}; <-end }}
	var both sync.WaitGroup
	answers := make(chan int, 2)
	both.Go(func() { answers <- ask(s, "/work").Code })
	<-began
	both.Go(func() { answers <- ask(s, "/work?for=1s").Code })
	<-began
	close(end)
	both.Wait()
	if sum := <-answers + <-answers; sum != 200+500 {
		t.Errorf("the statuses add up to %d", sum)
	}
	var c counts
	if err := json.Unmarshal(ask(s, "/count").Body.Bytes(), &c); err != nil || c != (counts{Most: 2, Served: 2}) {
		t.Errorf("it counted %+v, %v", c, err)
	}
}

func TestSlot_RefusesATimeThatIsNone(t *testing.T) {
	s := &slot{sleep: func(time.Duration) { t.Error("it worked") }}
	for _, span := range []string{"x", "-1s", "2h"} {
		if w := ask(s, "/work?for="+span); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", span, w.Code)
		}
	}
	if w := ask(s, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("healthz: %d", w.Code)
	}
}

func TestSlot_RefusesWhenItIsToldTo(t *testing.T) {
	worked := 0
	s := &slot{sleep: func(time.Duration) { worked++ }}
	put := func(query string) int {
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/refuse?with="+query, nil))
		return w.Code
	}
	if code := put("503"); code != http.StatusOK || ask(s, "/work").Code != http.StatusServiceUnavailable || worked != 0 {
		t.Errorf("told to refuse: %d, worked %d times", code, worked)
	}
	if put("200") != http.StatusBadRequest || put("x") != http.StatusBadRequest || ask(s, "/work").Code != http.StatusServiceUnavailable {
		t.Error("what is no refusal is taken")
	}
	if put("0") != http.StatusOK || ask(s, "/work").Code != http.StatusOK || ask(s, "/healthz").Code != http.StatusOK {
		t.Error("it works no more")
	}
}
