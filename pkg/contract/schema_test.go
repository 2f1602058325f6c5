package contract

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

func settings(t *testing.T) *Schema {
	t.Helper()
	s, err := NewSchema(func() (*openapi3.T, error) {
		return openapi3.NewLoader().LoadFromData([]byte(`{"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {}, "components": {"schemas": {"Settings": {
			"type": "object", "required": ["name"], "additionalProperties": false, "properties": {
				"name": {"type": "string"}, "most": {"type": "integer", "minimum": 1, "default": 7}
			}
		}}}}`))
	}, "Settings")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func document(t *testing.T, text string) (d any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSchema_RefusesInTheWordsOfARequest(t *testing.T) {
	s := settings(t)
	for text, want := range map[string][]string{
		`{"name": "a", "most": 1}`: nil,
		`{"most": 0}`:              {"most", "name"},
		`{"name": "a", "x": 1}`:    {"x"},
		`[]`:                       {"body"},
	} {
		for way, check := range map[string]func(any) *fault.Error{"check": s.Check, "fill": s.Fill} {
			err := check(document(t, text))
			var fields []string
			if err != nil {
				if err.Code != fault.Invalid {
					t.Errorf("%s %s: %v", way, text, err)
				}
				for _, f := range err.Fields {
					fields = append(fields, f.Field)
				}
			}
			if (err == nil) != (want == nil) {
				t.Errorf("%s %s: %v", way, text, err)
			}
			for _, field := range want {
				if !strings.Contains(strings.Join(fields, " ")+" ", field+" ") {
					t.Errorf("%s %s: nothing is said of %s, but of %s", way, text, field, fields)
				}
			}
		}
	}
}

func TestSchema_FillsInWhatIsNotSaid(t *testing.T) {
	s, filled, checked := settings(t), document(t, `{"name": "a"}`), document(t, `{"name": "a"}`)
	if err := s.Fill(filled); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(checked); err != nil {
		t.Fatal(err)
	}
	if text, _ := json.Marshal(filled); string(text) != `{"most":7,"name":"a"}` {
		t.Errorf("filled is %s", text)
	}
	if text, _ := json.Marshal(checked); string(text) != `{"name":"a"}` {
		t.Errorf("checked is %s", text)
	}
}

func TestNewSchema_NamesWhatTheContractHasNot(t *testing.T) {
	empty := func() (*openapi3.T, error) { return &openapi3.T{Components: &openapi3.Components{}}, nil }
	if _, err := NewSchema(empty, "Settings"); err == nil || !strings.Contains(err.Error(), "Settings") {
		t.Error(err)
	}
	broken := errors.New("it cannot be read")
	if _, err := NewSchema(func() (*openapi3.T, error) { return nil, broken }, "Settings"); !errors.Is(err, broken) {
		t.Error(err)
	}
}
