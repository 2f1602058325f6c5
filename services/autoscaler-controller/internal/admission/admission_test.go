package admission

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/injection"
)

// scene is a cluster in which default/shop asks for the sidecar, and what was measured.
type scene struct {
	missing string
	advice  []string
	asked   fleet.Autoscaler // of whom advice was wanted
	created time.Time
	targets int
	results []string
	path    string
	hold    chan struct{} // nil: nobody is held up
	held    chan struct{}
}

func (s *scene) Missing() string { return s.missing }
func (s *scene) Sidecar(_, deployment string) (injection.Sidecar, bool) {
	if s.hold != nil {
		s.held <- struct{}{}
		<-s.hold
	}
	return injection.Sidecar{ShareProcesses: true}, deployment == "shop"
}

func (s *scene) Advise(a fleet.Autoscaler, created time.Time, spec contract.Spec) []string {
	s.asked, s.created, s.targets = a, created, len(spec.Targets)
	return s.advice
}

func (s *scene) Reviewed(k Kind, r Result, _ time.Duration) {
	if !slices.Contains(Results(k), r) {
		panic(fmt.Sprintf("%s is no result of %s", r, k))
	}
	if s.hold == nil {
		s.results = append(s.results, string(k)+" "+string(r))
	}
}

func (s *scene) handler() http.Handler {
	return New(Options{
		Picture: s, Meter: s, Log: slog.New(slog.DiscardHandler), Namespace: "nemesis-system",
		Sidecar: injection.Settings{Image: "nemesis/sidecar:1"}, Path: func() string { return s.path },
	})
}

func newScene() *scene { return &scene{path: "secret"} }

func post(h http.Handler, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// ask is a good question; of what the request says besides, as JSON, more has its way.
func (s *scene) ask(t *testing.T, kind Kind, more string) *admissionv1.AdmissionResponse {
	t.Helper()
	request := map[string]any{
		"uid": "u1", "namespace": "default", "operation": "CREATE", "name": "ca",
		"resource": map[string]any{"group": "", "version": "v1", "resource": "pods"},
	}
	if kind == Review {
		request["resource"] = map[string]any{"group": "autoscaler-group.autoscaler", "version": "v1alpha1", "resource": "customautoscalers"}
	}
	if err := json.Unmarshal([]byte(more), &request); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
	if err != nil {
		t.Fatal(err)
	}
	w := post(s.handler(), "/secret/"+string(kind), string(raw))
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || answer.Kind != "AdmissionReview" ||
		answer.APIVersion != "admission.k8s.io/v1" || answer.Response == nil || answer.Response.UID != "u1" {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return answer.Response
}

const shopPod = `{"metadata":{"labels":{"pod-template-hash":"7"},"ownerReferences":[{"kind":"ReplicaSet","name":"shop-7","controller":true}]},"spec":{"containers":[{"name":"shop"}]}}`

func TestInject_IsOfTargetsAlone(t *testing.T) {
	other := strings.ReplaceAll(shopPod, "shop-7", "till-7")
	for name, c := range map[string]struct {
		more, missing string
		patched       bool
		warning, want string
	}{
		"a target's pod":               {`{"object":` + shopPod + `}`, "", true, "", "injected"},
		"another Deployment's":         {`{"object":` + other + `}`, "", false, "", "not-asked"},
		"a pod of nobody":              {`{"object":{"spec":{"containers":[{}]}}}`, "", false, "", "not-asked"},
		"in kube-system":               {`{"namespace":"kube-system","object":` + shopPod + `}`, "", false, "", "not-asked"},
		"in the controller's own":      {`{"namespace":"nemesis-system","object":` + shopPod + `}`, "", false, "", "not-asked"},
		"a change of a pod":            {`{"operation":"UPDATE","object":` + shopPod + `}`, "", false, "", "not-asked"},
		"something below a pod":        {`{"subResource":"binding","object":` + shopPod + `}`, "", false, "", "not-asked"},
		"something else":               {`{"resource":{"group":"apps","version":"v1","resource":"pods"},"object":` + shopPod + `}`, "", false, "", "not-asked"},
		"no pod":                       {`{"object":{"spec":1}}`, "", false, "", "unreadable"},
		"nothing":                      {`{}`, "", false, "", "unreadable"},
		"before the picture is whole":  {`{"object":` + shopPod + `}`, "the first list of pods", false, "waits for the first list of pods", "blind"},
		"another's is nothing to wait": {`{"namespace":"kube-system","object":` + shopPod + `}`, "the first list of pods", false, "", "not-asked"},
		"one that cannot have it":      {`{"object":` + strings.Replace(shopPod, `"containers"`, `"os":{"name":"windows"},"containers"`, 1) + `}`, "", false, "for Windows", "unfit"},
	} {
		s := newScene()
		s.missing = c.missing
		got := s.ask(t, Inject, c.more)
		if !got.Allowed || (len(got.Patch) > 0) != c.patched || (got.PatchType != nil) != c.patched || got.Result != nil {
			t.Errorf("%s: %+v", name, got)
		}
		if all := strings.Join(got.Warnings, "\n"); !strings.Contains(all, c.warning) || (all == "") != (c.warning == "") {
			t.Errorf("%s: warnings %q, want %q", name, all, c.warning)
		}
		if want := []string{"inject " + c.want}; !slices.Equal(s.results, want) {
			t.Errorf("%s: %v, want %v", name, s.results, want)
		}
	}
}

func TestInject_ThePatchIsAJSONPatch(t *testing.T) {
	got := newScene().ask(t, Inject, `{"object":`+shopPod+`}`)
	var patch []struct{ Op, Path string }
	if err := json.Unmarshal(got.Patch, &patch); err != nil || *got.PatchType != admissionv1.PatchTypeJSONPatch {
		t.Fatal(err)
	}
	var paths []string
	for _, o := range patch {
		paths = append(paths, o.Op+" "+o.Path)
	}
	want := []string{"add /metadata/labels/nemesis~1sidecar", "add /spec/volumes", "add /spec/shareProcessNamespace", "add /spec/containers/-"}
	if !slices.Equal(paths, want) {
		t.Errorf("%v, want %v", paths, want)
	}
}

const (
	plain   = `{"metadata":{"creationTimestamp":"2026-01-02T03:04:05Z"},"spec":{"targetDeployments":[{"name":"shop","apiPrefix":"/shop","port":"80"}]}}`
	noDay   = `{"spec":{"targetDeployments":[{"name":"shop","apiPrefix":"/shop","port":"80"}],"schedules":[{"name":"never","start":"0 0 32 * *","end":"0 1 * * *"}]}}`
	noZone  = `{"spec":{"targetDeployments":[{"name":"shop","apiPrefix":"/shop","port":"80"}],"schedules":[{"name":"far","start":"0 0 * * *","end":"0 1 * * *","timeZone":"Moon/Tycho"}]}}`
	newMode = `{"spec":{"targetDeployments":[{"name":"shop","apiPrefix":"/shop","port":"80"}],"schedules":[{"name":"s","start":"0 0 * * *","end":"0 1 * * *","mode":"Tomorrow"}]}}`
)

func TestReview_WarnsOfWhatMayBecomeRightAndRefusesWhatCannot(t *testing.T) {
	for name, c := range map[string]struct {
		more, missing string
		advice        []string
		refused       string
		warnings      []string
		want          string
	}{
		"all is well":        {`{"object":` + plain + `}`, "", nil, "", nil, "allowed"},
		"something to say":   {`{"object":` + plain + `}`, "", []string{"no Service"}, "", []string{"no Service"}, "warned"},
		"a day that is none": {`{"object":` + noDay + `}`, "", []string{"no Service"}, `spec.schedules[never].start: "0 0 32 * *" is not allowed`, nil, "refused"},
		"a zone that is not": {`{"object":` + noZone + `}`, "", nil, `spec.schedules[far].timeZone: "Moon/Tycho" is not allowed`, nil, "refused"},
		"a change to a day that is none": {
			`{"operation":"UPDATE","object":` + noDay + `,"oldObject":` + plain + `}`, "", nil, "32", nil, "refused",
		},
		"another change where the day was none before": {
			`{"operation":"UPDATE","object":` + strings.Replace(noDay, `"80"`, `"81"`, 1) + `,"oldObject":` + noDay + `}`, "", nil,
			"", []string{`spec.schedules[never].start: "0 0 32 * *" is not allowed: must be five fields of cron (end of range (32) above maximum (31): 32)`}, "warned",
		},
		"a mode of a newer version": {`{"object":` + newMode + `}`, "", nil, "", []string{`spec.schedules[s].mode: "Tomorrow" is not allowed: must be Active, Observe or Paused`}, "warned"},
		"nothing new":               {`{"operation":"UPDATE","object":` + noDay + `,"oldObject":` + noDay + `}`, "", []string{"no Service"}, "", nil, "allowed"},
		"one that is being deleted": {
			`{"operation":"UPDATE","object":` + strings.Replace(noDay, `{"spec"`, `{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05Z"},"spec"`, 1) + `,"oldObject":` + plain + `}`, "", nil, "", nil, "allowed",
		},
		"the status alone":            {`{"subResource":"status","object":` + noDay + `}`, "", []string{"no Service"}, "", nil, "allowed"},
		"something else":              {`{"resource":{"resource":"claimpolicies"},"object":` + noDay + `}`, "", nil, "", nil, "allowed"},
		"a deletion":                  {`{"operation":"DELETE","oldObject":` + noDay + `}`, "", nil, "", nil, "allowed"},
		"before the picture is whole": {`{"object":` + plain + `}`, "the first list of pods", []string{"no Service"}, "", []string{"whether it fits what is in the cluster is not known yet: the autoscaler-controller waits for the first list of pods"}, "blind"},
		"no object":                   {`{}`, "", nil, "", nil, "unreadable"},
		"an object that is none":      {`{"object":[1]}`, "", nil, "", nil, "unreadable"},
		"metadata that are none":      {`{"object":{"metadata":1}}`, "", nil, "", nil, "unreadable"},
	} {
		s := newScene()
		s.missing, s.advice = c.missing, c.advice
		got := s.ask(t, Review, c.more)
		if got.Allowed != (c.refused == "") || got.Patch != nil || !slices.Equal(got.Warnings, c.warnings) {
			t.Errorf("%s: %+v", name, got)
		}
		if c.refused != "" && (got.Result.Code != 422 || !strings.Contains(got.Result.Message, c.refused)) {
			t.Errorf("%s: %+v, want %q", name, got.Result, c.refused)
		}
		if want := []string{"review " + c.want}; !slices.Equal(s.results, want) {
			t.Errorf("%s: %v, want %v", name, s.results, want)
		}
	}
}

func TestReview_AsksForAdviceOnWhatIsWritten(t *testing.T) {
	s := newScene()
	s.ask(t, Review, `{"object":`+plain+`}`)
	if s.asked != (fleet.Autoscaler{Namespace: "default", Name: "ca"}) || s.targets != 1 || !s.created.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("%+v", s)
	}
	s.ask(t, Review, `{"object":`+strings.Replace(plain, `"creationTimestamp":"2026-01-02T03:04:05Z"`, "", 1)+`}`)
	if time.Since(s.created) > time.Hour {
		t.Errorf("without a moment it is as old as %v", s.created)
	}
}

func TestReview_ManyFaultsAreBounded(t *testing.T) {
	var spec strings.Builder
	for i := range 100 {
		fmt.Fprintf(&spec, `,{"name":"%s","apiPrefix":"no-%d","port":"x y"}`, strings.Repeat("ü", 300), i)
	}
	got := newScene().ask(t, Review, `{"object":{"spec":{"targetDeployments":[`+spec.String()[1:]+`]}}}`)
	if len(got.Warnings) != maxFaults {
		t.Errorf("%d warnings", len(got.Warnings))
	}
	for _, text := range got.Warnings {
		if len(text) > maxText {
			t.Errorf("%d bytes: %q", len(text), text)
		}
	}
}

func TestServeHTTP_AnswersNobodyWhoDoesNotKnowThePath(t *testing.T) {
	for path, known := range map[string]string{
		"/inject": "secret", "/": "secret", "/wrong/inject": "secret", "/secret/": "secret", "/secret/other": "secret", "/secret": "secret",
		"/secret/inject/x": "secret", "//inject": "", "/secret/inject": "",
	} {
		s := newScene()
		s.path = known
		if w := post(s.handler(), path, `{}`); w.Code != http.StatusNotFound || len(s.results) != 0 {
			t.Errorf("%s while the secret is %q: %d, %v", path, known, w.Code, s.results)
		}
	}
}

func TestServeHTTP_RefusesWhatIsNoQuestion(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"no JSON":         {`{`, 400},
		"another kind":    {`{"apiVersion":"admission.k8s.io/v1","kind":"Review","request":{"uid":"u"}}`, 400},
		"another version": {`{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u"}}`, 400},
		"no request":      {`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, 400},
		"no uid":          {`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{}}`, 400},
		"too large":       {`"` + strings.Repeat("x", maxBody) + `"`, 413},
	} {
		s := newScene()
		w := post(s.handler(), "/secret/review", c.body)
		if w.Code != c.code || w.Body.Len() > 1000 || !slices.Equal(s.results, []string{"review unreadable"}) {
			t.Errorf("%s: %d %s %v", name, w.Code, w.Body, s.results)
		}
	}
	s := newScene()
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/secret/inject", bytes.NewReader(nil)))
	if w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("without a media type: %d", w.Code)
	}
	w = httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/secret/inject", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
		t.Errorf("GET: %d", w.Code)
	}
}

func TestServeHTTP_BeyondTheBoundQuestionsAreAnsweredAtOnce(t *testing.T) {
	s := newScene()
	s.hold, s.held = make(chan struct{}), make(chan struct{})
	h := s.handler()
	question := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","namespace":"default","operation":"CREATE","resource":{"resource":"pods"},"object":` + shopPod + `}}`
	codes := make(chan int, maxAtOnce)
	for range maxAtOnce {
		go func() { codes <- post(h, "/secret/inject", question).Code }()
	}
	for range maxAtOnce {
		testwait.Receive(t, "one is being answered", s.held)
	}
	if w := post(h, "/secret/inject", question); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one more: %d", w.Code)
	}
	close(s.hold)
	for range maxAtOnce {
		if code := testwait.Receive(t, "it is answered", codes); code != http.StatusOK {
			t.Errorf("%d", code)
		}
	}
}

// Whatever is asked: it is answered, nothing but a bad schedule is refused, and nothing is changed in the system's namespaces.
func FuzzServeHTTP(f *testing.F) {
	for _, object := range []string{shopPod, plain, noDay, noZone, `{"spec":null}`, `[]`} {
		f.Add("inject", "default", "CREATE", "", object, "")
		f.Add("review", "kube-system", "UPDATE", "autoscaler-group.autoscaler", object, plain)
	}
	f.Fuzz(func(t *testing.T, kind, namespace, operation, group, object, old string) {
		resource := "pods"
		if kind == "review" {
			resource = "customautoscalers"
		}
		request := map[string]any{"uid": "u", "namespace": namespace, "operation": operation, "resource": map[string]any{"group": group, "resource": resource}}
		if json.Valid([]byte(object)) {
			request["object"] = json.RawMessage(object)
		}
		if json.Valid([]byte(old)) {
			request["oldObject"] = json.RawMessage(old)
		}
		raw, err := json.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
		if err != nil {
			return
		}
		s := newScene()
		w := post(s.handler(), "/secret/"+kind, string(raw))
		var answer admissionv1.AdmissionReview
		if w.Code != http.StatusOK {
			return
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Response == nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
		if !answer.Response.Allowed && !strings.Contains(answer.Response.Result.Message, "spec") {
			t.Errorf("refused: %+v", answer.Response.Result)
		}
		if answer.Response.Patch != nil && (namespace == "kube-system" || namespace == "nemesis-system" || kind != "inject") {
			t.Errorf("changed in %s by %s", namespace, kind)
		}
	})
}
