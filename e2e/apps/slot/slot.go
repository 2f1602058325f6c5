package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// longest bounds what one request may ask for.
const longest = time.Hour

// counts are what it got.
type counts struct {
	Now    int `json:"now"`
	Most   int `json:"most"` // at a time
	Served int `json:"served"`
}

// slot works on one request at a time.
type slot struct {
	sleep  func(time.Duration)
	mu     sync.Mutex
	counts counts
	refuse int // the status with which it answers at once; 0: it works
}

// handler serves GET /work?for=250ms, which works for so long, GET /count and GET /healthz, and
// PUT /refuse?with=503, after which work is refused at once with this status, and the pod stays ready.
func (s *slot) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /count", s.count)
	mux.HandleFunc("GET /work", s.work)
	mux.HandleFunc("PUT /refuse", s.refuseWith)
	return mux
}

func (s *slot) count(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.counts) // a client that has gone needs no answer
}

func (s *slot) work(w http.ResponseWriter, r *http.Request) {
	span := 100 * time.Millisecond
	if text := r.URL.Query().Get("for"); text != "" {
		var err error
		if span, err = time.ParseDuration(text); err != nil || span < 0 || span > longest {
			http.Error(w, "for: "+text+" is not allowed: from 0s to 1h", http.StatusBadRequest)
			return
		}
	}
	if status := s.refusal(); status != 0 {
		http.Error(w, "it refuses", status)
		return
	}
	alone := s.enter()
	defer s.leave()
	s.sleep(span) // whoever asked may have gone: work that has begun is not broken off
	if !alone {
		http.Error(w, "it works on another request", http.StatusInternalServerError)
	}
}

func (s *slot) enter() (alone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Now++
	s.counts.Most = max(s.counts.Most, s.counts.Now)
	return s.counts.Now == 1
}

func (s *slot) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Now--
	s.counts.Served++
}

func (s *slot) refuseWith(w http.ResponseWriter, r *http.Request) {
	status, err := strconv.Atoi(r.URL.Query().Get("with"))
	if err != nil || status != 0 && (status < 400 || status > 599) {
		http.Error(w, "with: must be 0, or a status from 400 to 599", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = status
}

func (s *slot) refusal() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refuse
}
