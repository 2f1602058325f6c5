package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/problem"
)

// The bounds of what a client sends to the API.
const (
	maxBody = 64 << 10
	maxName = 64
)

// api is the application's own API: a question, an action, and presets as its resources.
type api struct {
	calculator
	presets *presets
}

// action asks for a computation, of a number or of a preset.
type action struct {
	Action     string     `json:"action"`
	Parameters parameters `json:"parameters"`
}

type parameters struct {
	N      *int    `json:"n"`
	Preset *string `json:"preset"`
}

// update replaces a preset, change changes one.
type (
	update struct {
		ResourceID string `json:"resource_id"`
		Updates    preset `json:"updates"`
	}
	change struct {
		ResourceID string `json:"resource_id"`
		Changes    preset `json:"changes"`
	}
	preset struct {
		N *int `json:"n"`
	}
)

// resource is a preset as it is answered.
type resource struct {
	ResourceID string `json:"resource_id"`
	N          int    `json:"n"`
	Pod        string `json:"pod"`
}

func (a api) query(w http.ResponseWriter, r *http.Request) {
	given := r.URL.Query()["query"]
	if len(given) > 1 {
		a.refuse(w, r, "query", fmt.Sprintf("%d values", len(given)), "one "+a.allowed())
		return
	}
	n := min(standardN, a.most)
	if len(given) == 1 {
		var err error
		if n, err = strconv.Atoi(given[0]); err != nil || n < 0 || n > a.most {
			a.refuse(w, r, "query", given[0], "a "+a.allowed())
			return
		}
	}
	a.compute(w, r, n)
}

func (a api) act(w http.ResponseWriter, r *http.Request) {
	var do action
	if !read(w, r, &do) {
		return
	}
	switch n, name := do.Parameters.N, do.Parameters.Preset; {
	case do.Action != "compute":
		a.refuse(w, r, "action", do.Action, "compute")
	case (n == nil) == (name == nil):
		a.refuse(w, r, "parameters", "", "either n or preset")
	case n != nil:
		if a.fits(w, r, "parameters.n", n) {
			a.compute(w, r, *n)
		}
	default:
		n, ok := a.presets.get(*name)
		if !ok {
			notFound(w, r, *name)
			return
		}
		a.compute(w, r, min(n, a.most))
	}
}

func (a api) replace(w http.ResponseWriter, r *http.Request) {
	var u update
	if !read(w, r, &u) || !a.named(w, r, u.ResourceID) || !a.fits(w, r, "updates.n", u.Updates.N) {
		return
	}
	made, ok := a.presets.put(u.ResourceID, *u.Updates.N)
	if !ok {
		problem.Write(w, r, problem.Problem{
			Status: http.StatusConflict, Code: "conflict", Title: "The state forbids it",
			Detail: fmt.Sprintf("there are %d presets already, and more are not kept; replace one of them", mostPresets),
		})
		return
	}
	status := http.StatusOK
	if made {
		status = http.StatusCreated
	}
	answer(w, status, resource{ResourceID: u.ResourceID, N: *u.Updates.N, Pod: a.pod})
}

func (a api) change(w http.ResponseWriter, r *http.Request) {
	var c change
	if !read(w, r, &c) || !a.named(w, r, c.ResourceID) {
		return
	}
	n, ok := a.presets.get(c.ResourceID)
	if !ok {
		notFound(w, r, c.ResourceID)
		return
	}
	if c.Changes.N != nil {
		if !a.fits(w, r, "changes.n", c.Changes.N) {
			return
		}
		n = *c.Changes.N
		a.presets.put(c.ResourceID, n)
	}
	answer(w, http.StatusOK, resource{ResourceID: c.ResourceID, N: n, Pod: a.pod})
}

// fits refuses an n that is not there or not allowed.
func (a api) fits(w http.ResponseWriter, r *http.Request, field string, n *int) bool {
	switch {
	case n == nil:
		a.refuse(w, r, field, "", "a "+a.allowed())
	case *n < 0 || *n > a.most:
		a.refuse(w, r, field, strconv.Itoa(*n), "a "+a.allowed())
	default:
		return true
	}
	return false
}

// named refuses a name that no preset may have.
func (a api) named(w http.ResponseWriter, r *http.Request, name string) bool {
	if name == "" || len(name) > maxName {
		a.refuse(w, r, "resource_id", name, fmt.Sprintf("from 1 to %d bytes", maxName))
		return false
	}
	return true
}

func (a api) refuse(w http.ResponseWriter, r *http.Request, field, value, allowed string) {
	problem.Write(w, r, problem.Invalid(problem.Field{Field: field, Value: value, Allowed: allowed}))
}

func notFound(w http.ResponseWriter, r *http.Request, name string) {
	problem.Write(w, r, problem.Problem{
		Status: http.StatusNotFound, Code: "not-found", Title: "There is no such preset",
		Detail: "this pod has no preset " + problem.Shorten(name) + "; PUT makes one",
	})
}

// read reads a JSON body into v; false when it was refused.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		problem.Write(w, r, problem.Problem{
			Status: http.StatusUnsupportedMediaType, Code: "unsupported-media-type", Title: "The media type is not supported",
			Errors: []problem.Field{{Field: "Content-Type", Value: problem.Shorten(r.Header.Get("Content-Type")), Allowed: "application/json"}},
		})
		return false
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(v)
	if err == nil {
		_, err = decoder.Token() // nothing may follow
		if errors.Is(err, io.EOF) {
			return true
		}
		err = errors.Join(errors.New("more than one JSON value"), err)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		problem.Write(w, r, problem.Problem{
			Status: http.StatusRequestEntityTooLarge, Code: "too-large", Title: "The body is too large",
			Detail: fmt.Sprintf("the body is larger than %d bytes", maxBody),
		})
		return false
	}
	field := "body"
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && mistyped.Field != "" {
		field = mistyped.Field
	}
	problem.Write(w, r, problem.Invalid(problem.Field{Field: field, Allowed: "JSON as the API has it: " + problem.Shorten(err.Error())}))
	return false
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
