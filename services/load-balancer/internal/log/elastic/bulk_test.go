package elastic

import (
	"strings"
	"testing"
)

func TestItemVerdict_WhatCanBeMendedIsSentAgain(t *testing.T) {
	for status, want := range map[int]verdict{
		200: acknowledged, 201: acknowledged, 409: duplicate, 429: again, 500: again, 503: again,
		401: again, 403: again, 404: again, 400: refused, 413: refused, 0: again, 302: again,
	} {
		got, reason := itemVerdict(item{Status: status})
		if got != want || (reason == "") != (got != again) {
			t.Errorf("%d: %v %q", status, got, reason)
		}
	}
	if got, _ := itemVerdict(item{Status: 201, FailureStore: "used"}); got != refused {
		t.Errorf("in the failure store: %v", got)
	}
	if got, _ := itemVerdict(item{Status: 201, FailureStore: "not_enabled"}); got != acknowledged {
		t.Errorf("not in the failure store: %v", got)
	}
	for said, want := range map[string]verdict{
		`{"type":"validation_exception","reason":"Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open;"}`: again,
		`{"type":"document_parsing_exception","reason":"[1:2] failed to parse field [a] of type [long]: \"type\":\"validation_exception\""}`:                                          refused,
	} {
		if got, reason := itemVerdict(item{Status: 400, Error: []byte(said)}); got != want || got == again && reason != reasonNoIndex {
			t.Errorf("%s: %v %q", said, got, reason)
		}
	}
}

func TestRequestVerdict_SaysWhyAllIsSentAgain(t *testing.T) {
	for status, want := range map[int]string{429: reasonBusy, 401: reasonRights, 403: reasonRights, 404: reasonNoStream, 500: reasonServer, 502: reasonServer, 400: reasonAnswer, 301: reasonAnswer, 204: reasonAnswer} {
		if reason := requestVerdict(status); reason != want {
			t.Errorf("%d: %q", status, reason)
		}
	}
}

func TestReadAnswer_BelievesOnlyWhatIsWhole(t *testing.T) {
	const good = `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}`
	if items, err := readAnswer([]byte(good), 2); items != nil || err != nil {
		t.Errorf("all taken: %v %v", items, err)
	}
	const late = `{"took":1,"items":[{"create":{"status":201}},{"create":{"status":201}}],"errors":false}`
	if items, err := readAnswer([]byte(late), 2); len(items) != 2 || err != nil {
		t.Errorf("in another order: %v %v", items, err)
	}
	const mixed = `{"errors":true,"items":[{"create":{"status":409,"error":{"type":"a","reason":"b","caused_by":{"type":"c","reason":"d"}}}},{"create":{"status":201}}]}`
	items, err := readAnswer([]byte(mixed), 2)
	if err != nil || len(items) != 2 || items[0].Status != 409 || why(409, items[0].Error) != "409 a: b: d" || items[1].Status != 201 {
		t.Errorf("mixed: %+v %v", items, err)
	}
	const aside = `{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201,"failure_store":"used"}}]}`
	if items, err := readAnswer([]byte(aside), 2); err != nil || len(items) != 2 || items[1].FailureStore != inFailureStore {
		t.Errorf("put aside: %+v %v", items, err)
	}
	for name, body := range map[string]string{
		"nothing": "", "of fewer": `{"errors":false,"items":[{"create":{"status":201}}]}`, "no answer of it": `{"acknowledged":true}`,
		"a page": "<html>", "without statuses": `{"errors":true,"items":[{"create":{}},{"create":{"status":201}}]}`,
		"of another action": `{"errors":true,"items":[{"index":{"status":201}},{"create":{"status":201}}]}`, "two": good + good, "null": "null",
	} {
		if items, err := readAnswer([]byte(body), 2); err == nil {
			t.Errorf("%s: %v", name, items)
		}
	}
	for cut := range len(good) {
		if _, err := readAnswer([]byte(good[:cut]), 2); err == nil {
			t.Errorf("cut after %d bytes is believed", cut)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(`{"errors":false,"items":[{"create":{"status":201}}]}`), 1)
	f.Add([]byte(`{"errors":true,"items":[{"create":{"status":400,"error":{}}}]}`), 1)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		items, err := readAnswer(body, n)
		if err == nil && items != nil && len(items) != n {
			t.Errorf("%d items of %d", len(items), n)
		}
		for _, i := range items {
			_, _ = itemVerdict(i)
			_ = why(i.Status, i.Error)
		}
	})
}

func BenchmarkReadAnswer(b *testing.B) {
	const n = 4000
	body := []byte(`{"errors":false,"items":[` + strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, n), ",") + "]}")
	for b.Loop() {
		if _, err := readAnswer(body, n); err != nil {
			b.Fatal(err)
		}
	}
}
