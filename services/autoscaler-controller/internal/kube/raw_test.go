package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

const rawObject = `{"apiVersion":"autoscaler-group.autoscaler/v1alpha1","kind":"CustomAutoscaler","metadata":{"namespace":"models","name":"shop","uid":"u-1",
"resourceVersion":"42","generation":3,"creationTimestamp":"2026-01-02T03:04:05Z","annotations":{"a":"b"},"labels":{"team":"x"},
"managedFields":[{"manager":"kubectl","operation":"Update","time":"2026-01-02T04:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:idleTime":{}}}},
{"manager":"nemesis","subresource":"status","time":"2026-01-02T05:00:00Z"}]},
"spec":{"idleTime":90,"targetDeployments":[{"name":"shop"}]},"status":{"state":"Asleep","message":"says \"so\"\n"}}`

func compact(tb testing.TB, text string) string {
	tb.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// answering is a client of an API server that answers everything like this, and what it was asked.
func answering(t *testing.T, code int, body string) (*RawClient, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), sent)))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := NewRawClient(&rest.Config{Host: server.URL}, CustomAutoscalers)
	if err != nil {
		t.Fatal(err)
	}
	return c, &asked
}

func refusedWith(reason metav1.StatusReason, code int) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"no","reason":%q,"code":%d}`, reason, code)
}

func TestRaw_HasWhatAllObjectsHaveAndTheRestAsItCame(t *testing.T) {
	c, asked := answering(t, http.StatusOK, rawObject)
	o, err := c.Namespace("models").Get(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	made := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	by, later := metav1.NewTime(made.Add(55*time.Minute+55*time.Second)), metav1.NewTime(made.Add(115*time.Minute+55*time.Second))
	want := RawMeta{
		Namespace: "models", Name: "shop", UID: "u-1", ResourceVersion: "42", Generation: 3, CreationTimestamp: made,
		Annotations: map[string]string{"a": "b"}, ManagedFields: []RawManager{{Time: &by}, {Subresource: "status", Time: &later}},
	}
	if diff := cmp.Diff(want, o.Meta); diff != "" {
		t.Error(diff)
	}
	if string(o.Spec) != `{"idleTime":90,"targetDeployments":[{"name":"shop"}]}` || string(o.Status) != `{"state":"Asleep","message":"says \"so\"\n"}` {
		t.Errorf("spec %s, status %s", o.Spec, o.Status)
	}
	if want := []string{"GET /apis/autoscaler-group.autoscaler/v1alpha1/namespaces/models/customautoscalers/shop"}; !slices.Equal(*asked, want) {
		t.Errorf("asked %q", *asked)
	}
	m, err := meta.Accessor(o)
	if err != nil || m.GetName() != "shop" || m.GetResourceVersion() != "42" || m.GetUID() != types.UID("u-1") || m.GetGeneration() != 3 {
		t.Errorf("%+v, %v", m, err)
	}
	copied := o.DeepCopyObject().(*Raw)
	copied.Spec[0], copied.Meta.Annotations["a"], copied.Meta.ManagedFields[0].Subresource = '!', "c", "x"
	if o.Spec[0] != '{' || o.Meta.Annotations["a"] != "b" || o.Meta.ManagedFields[0].Subresource != "" {
		t.Error("the copy has what the object has")
	}
}

func TestRaw_ListsPagesAndPatchesTheStatus(t *testing.T) {
	c, asked := answering(t, http.StatusOK, `{"kind":"CustomAutoscalerList","apiVersion":"autoscaler-group.autoscaler/v1alpha1","metadata":{"resourceVersion":"50","continue":"more"},"items":[`+rawObject+`,`+rawObject+`]}`)
	list, err := c.Namespace("").List(t.Context(), metav1.ListOptions{Limit: 2, Continue: "here"})
	if err != nil || list.ResourceVersion != "50" || list.Continue != "more" || len(list.Items) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	seen := 0
	if err := meta.EachListItem(list, func(o runtime.Object) error {
		if r, ok := o.(*Raw); ok && r.Meta.Name == "shop" {
			seen++
		}
		return nil
	}); err != nil || seen != 2 {
		t.Errorf("%d items, %v", seen, err)
	}
	list.DeepCopyObject().(*RawList).Items[0].Spec[0] = '!'
	if list.Items[0].Spec[0] != '{' {
		t.Error("the copy has the list's items")
	}
	if _, err := c.Namespace("models").PatchStatus(t.Context(), "shop", []byte(`{"status":{}}`)); err != nil {
		t.Error(err)
	}
	want := []string{
		"GET /apis/autoscaler-group.autoscaler/v1alpha1/customautoscalers?continue=here&limit=2",
		`PATCH /apis/autoscaler-group.autoscaler/v1alpha1/namespaces/models/customautoscalers/shop/status application/merge-patch+json {"status":{}}`,
	}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Error(diff)
	}
}

func TestRaw_RefusalsAreTheAPIServersOwn(t *testing.T) {
	for reason, is := range map[metav1.StatusReason]func(error) bool{
		metav1.StatusReasonNotFound: apierrors.IsNotFound, metav1.StatusReasonInvalid: apierrors.IsInvalid, metav1.StatusReasonForbidden: apierrors.IsForbidden,
		metav1.StatusReasonConflict: apierrors.IsConflict,
	} {
		code := map[metav1.StatusReason]int{
			metav1.StatusReasonNotFound: 404, metav1.StatusReasonInvalid: 422, metav1.StatusReasonForbidden: 403, metav1.StatusReasonConflict: 409,
		}[reason]
		c, _ := answering(t, code, refusedWith(reason, code))
		_, got := c.Namespace("models").Get(t.Context(), "shop")
		_, patched := c.Namespace("models").PatchStatus(t.Context(), "shop", []byte(`{}`))
		_, listed := c.Namespace("").List(t.Context(), metav1.ListOptions{})
		_, watched := c.Namespace("").Watch(t.Context(), metav1.ListOptions{})
		for what, err := range map[string]error{"get": got, "patch": patched, "list": listed, "watch": watched} {
			if !is(err) {
				t.Errorf("%s: %s is %v", reason, what, err)
			}
		}
	}
	c, _ := answering(t, http.StatusOK, `[]`)
	if _, err := c.Namespace("models").Get(t.Context(), "shop"); err == nil {
		t.Error("what is no object is taken for one")
	}
}

func TestRaw_AWatchBringsObjectsBookmarksAndItsEnd(t *testing.T) {
	object := compact(t, rawObject)
	bookmark := `{"kind":"CustomAutoscaler","apiVersion":"autoscaler-group.autoscaler/v1alpha1","metadata":{"resourceVersion":"60","annotations":{"k8s.io/initial-events-end":"true"}},"spec":{}}`
	// Several on a line, or one on several, is JSON too.
	c, asked := answering(t, http.StatusOK, `{"type":"ADDED","object":`+object+"}\n"+`{"type":"MODIFIED","object":`+rawObject+`} {"object":`+object+`,"type":"DELETED"}`+"\n"+
		`{"type":"BOOKMARK","object":`+bookmark+"}\n"+`{"type":"ERROR","object":`+refusedWith(metav1.StatusReasonExpired, 410)+"}\n")
	w, err := c.Namespace("").Watch(t.Context(), metav1.ListOptions{ResourceVersion: "41", AllowWatchBookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for _, want := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted, watch.Bookmark} {
		event := testwait.Receive(t, string(want), w.ResultChan())
		o, ok := event.Object.(*Raw)
		if !ok || event.Type != want {
			t.Fatalf("%s: %T", event.Type, event.Object)
		}
		m, err := meta.Accessor(o)
		if err != nil {
			t.Fatal(err)
		}
		if want == watch.Bookmark {
			if m.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" || m.GetResourceVersion() != "60" {
				t.Errorf("bookmark: %+v", m)
			}
			continue
		}
		if o.Meta.Name != "shop" || !strings.Contains(string(o.Status), "Asleep") {
			t.Errorf("%s: %+v", want, o)
		}
	}
	if event := testwait.Receive(t, "the end", w.ResultChan()); event.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(event.Object)) {
		t.Errorf("%s: %+v", event.Type, event.Object)
	}
	if want := "GET /apis/autoscaler-group.autoscaler/v1alpha1/customautoscalers?allowWatchBookmarks=true&resourceVersion=41&watch=true"; (*asked)[0] != want {
		t.Errorf("asked %q", *asked)
	}
}

func TestRaw_IsNotWritten(t *testing.T) {
	if err := (rawCodec{}).Encode(&Raw{}, io.Discard); err == nil {
		t.Error("it is")
	}
	if (rawCodec{}).Identifier() == "" {
		t.Error("it has no name")
	}
}

// What client-go's own decoder takes for an object is read alike.
func FuzzRaw_ReadsWhatUnstructuredReads(f *testing.F) {
	f.Add([]byte(rawObject))
	f.Add([]byte(refusedWith(metav1.StatusReasonExpired, 410)))
	f.Add([]byte(`{"kind":"CustomAutoscaler","apiVersion":"v1","metadata":{"name":"x"},"status":null}`))
	f.Add([]byte(`{"kind":"Status","apiVersion":"v1","status":{"a":1}}`))
	f.Add([]byte(`{"kind":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, kind, err := (rawCodec{}).Decode(data, nil, nil)
		if err != nil {
			return // the API server writes no such thing
		}
		o, ok := got.(*Raw)
		if !ok {
			if _, ok := got.(*metav1.Status); !ok || kind.Kind != "Status" {
				t.Fatalf("%T %v", got, kind)
			}
			return
		}
		other, _, err := unstructured.UnstructuredJSONScheme.Decode(data, nil, nil)
		u, ok := other.(*unstructured.Unstructured)
		if err != nil || !ok || strings.Contains(strings.ToLower(string(data)), `\u`) {
			return
		}
		for key := range u.Object {
			if key != strings.ToLower(key) && !slices.Contains([]string{"apiVersion"}, key) {
				return // Go's JSON takes keys of any case; the API server writes them in one
			}
		}
		if o.Kind != u.GetKind() || o.APIVersion != u.GetAPIVersion() {
			t.Fatalf("%s: %+v", data, o.TypeMeta)
		}
		if m, ok := u.Object["metadata"].(map[string]any); ok && len(m) == 1 && m["name"] != nil && o.Meta.Name != u.GetName() {
			t.Fatalf("%s: %q", data, o.Meta.Name)
		}
	})
}

// BenchmarkWatchEvent compares with client-go's dynamic client what it costs to read an event.
func BenchmarkWatchEvent(b *testing.B) {
	event := []byte(`{"type":"MODIFIED","object":` + compact(b, rawObject) + "}")
	b.Run("raw", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got metav1.WatchEvent
			_, _, err := (rawCodec{}).Decode(event, nil, &got)
			if err == nil {
				_, _, err = (rawCodec{}).Decode(got.Object.Raw, nil, nil)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unstructured", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got metav1.WatchEvent
			err := json.Unmarshal(event, &got)
			if err == nil {
				_, _, err = unstructured.UnstructuredJSONScheme.Decode(got.Object.Raw, nil, nil)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
