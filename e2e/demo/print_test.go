package main

import (
	"strings"
	"testing"
)

func TestWords_EndWithDoneAndNothingElse(t *testing.T) {
	const event = `data: {"choices":[{"text":"Once"}]}` + "\n\n"
	for name, c := range map[string]struct {
		stream, want string
		fails        bool
	}{
		"whole":  {event + event + "data: [DONE]\n\n", "OnceOnce", false},
		"cut":    {event, "Once", true},
		"broken": {"data: {\n\n", "", true},
	} {
		var got strings.Builder
		err := words(strings.NewReader(c.stream), func(w string) { got.WriteString(w) })
		if (err != nil) != c.fails || got.String() != c.want {
			t.Errorf("%s: %q, %v", name, got.String(), err)
		}
	}
}

func TestFarewell_SaysHowToLookAround(t *testing.T) {
	for _, elastic := range []string{"", "http://127.0.0.1:9200"} {
		var out strings.Builder
		farewell(&out, "http://10.0.0.1", "https://10.0.0.2:8080", "https://10.0.0.1:8081", "/kube/config", elastic, 30)
		for _, says := range []string{
			"sleeps again 30 s after", "http://10.0.0.1/modelserver/", "'https://10.0.0.2:8080/v1/decisions?limit=5'", "'https://10.0.0.1:8081/proxy/logs?limit=5'",
			"kubectl --kubeconfig /kube/config proxy   #",
			"http://127.0.0.1:8001/api/v1/namespaces/nemesis-system/services/https:autoscaler-controller:8080/proxy/console/\n",
			"make command && KUBECONFIG=/kube/config NEMESIS_SERVICE_ACCOUNT=nemesis-demo/reader build/bin/nemesis status -A ", "make demo-down",
		} {
			if !strings.Contains(out.String(), says) {
				t.Errorf("%q is not in\n%s", says, &out)
			}
		}
		if strings.Contains(out.String(), "9200") != (elastic != "") {
			t.Errorf("an Elasticsearch at %q:\n%s", elastic, &out)
		}
	}
}
