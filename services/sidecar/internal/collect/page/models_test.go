package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/pod"
)

// serve serves an answer at each path, and tells the address before the path.
func serve(t *testing.T, answers map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if strings.HasPrefix(body, "{") {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const modelList = `{"object":"list","data":[
	{"id":"a/\"b\"\n\\c","object":"model","stats":{"queue_fraction":0.1,"queue_absolute":7,"results_pending":9}},
	{"id":"d","stats":{"queue_absolute":0}},{"id":"e","stats":{}},{"id":"f"}]}`

func TestRead_InfinityIsItsPageAndItsListOfModels(t *testing.T) {
	url := serve(t, map[string]string{"/metrics": testdata(t, "infinity-0.0.78"), "/models": modelList})
	got, err := New(url+"/metrics", url+"/models").Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expected := pages["infinity-0.0.78"]
	expected.Gauges = gauges{pod.Queued: 7}
	expected.Server = models("Infinity", "0.0.78", "a/\"b\"\n\\c", "d")
	if diff := cmp.Diff(want(expected), want(got), closely); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRead_OfSeveralPagesAllMustBeThere(t *testing.T) {
	url := serve(t, map[string]string{
		"/metrics": "tgi_queue_size 1\n", "/wrong": "{]", "/other": `{"data":7}`, "/long": `{"x":"` + strings.Repeat("y", maxModelList) + `"}`, "/empty": "{}",
	})
	for path, why := range map[string]string{
		"/none": "404", "/wrong": "no list of models", "/other": "no list of models", "/long": "longer than 1024 KiB",
	} {
		if r, err := New(url+"/metrics", url+path).Read(t.Context()); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %+v, error %v, want %q", path, r, err, why)
		}
	}
	if r, err := New(url+"/metrics", url+"/empty").Read(t.Context()); err != nil || r.Gauges[pod.Queued] != 1 {
		t.Errorf("%+v, error %v", r, err)
	}
}

func TestRead_APageThatIsNamedTwiceIsKnownForIt(t *testing.T) {
	url := serve(t, map[string]string{"/metrics": "tgi_queue_size 1\n"})
	r, err := New(url+"/metrics", url+"/metrics").Read(t.Context())
	if _, ok := r.Gauges[pod.Queued]; err != nil || ok || !strings.Contains(r.Withheld[pod.Queued], "twice") {
		t.Errorf("%+v, error %v", r, err)
	}
}

// A model's name may be anything, and what waits for it is read all the same.
func FuzzAddModels(f *testing.F) {
	for _, raw := range []string{modelList, `{}`, `[]`, `{"data":[{"id":"}","stats":{"queue_absolute":-1e300}}]}`, `{"data":[{"stats":{"queue_absolute":1}},{"stats":{"queue_absolute":1}}]}`} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		families := newFamilies()
		if err := families.addModels(strings.NewReader(raw)); err != nil {
			return
		}
		p := parse(families)
		for _, why := range p.lost {
			if len(raw) < maxLine/8 && !strings.Contains(why, "twice") {
				t.Errorf("%q is lost because it %s", raw, why)
			}
		}
		_ = read(p)
	})
}
