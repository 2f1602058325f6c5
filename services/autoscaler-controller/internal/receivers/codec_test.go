package receivers

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
)

var once = sync.OnceValues(newCodec) // to read the contract takes a while

func reads(tb testing.TB) *codec {
	tb.Helper()
	c, err := once()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

const aKey = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func TestCodec_Reads(t *testing.T) {
	got, err := reads(t).read(`
webhooks:
  - { name: chat, url: "https://hooks.slack.com/services/T0/B0/x", format: Slack }
  - name: audit
    url: http://audit.example.com:8080/nemesis?a=b
    format: CloudEvents
    signingKey: ` + aKey + `
    events: [Woken, Slept]
    deployments: [llama]
    perMinute: 60
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []notices.Receiver{
		{Name: "chat", URL: "https://hooks.slack.com/services/T0/B0/x", Format: "Slack", PerMinute: 20},
		{
			Name: "audit", URL: "http://audit.example.com:8080/nemesis?a=b", Format: "CloudEvents", Keys: aKey,
			Kinds: []fleet.Happening{fleet.Woken, fleet.Slept}, Deployments: []string{"llama"}, PerMinute: 60,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got, err = reads(t).read(`
webhooks:
  - { name: daily, url: "https://a.example/x", format: Slack, report: daily }
  - { name: weekly, url: "https://a.example/x", format: CloudEvents, report: weekly, reportHour: 0, reportDay: Sunday, events: [Slept] }
`)
	if err != nil {
		t.Fatal(err)
	}
	want = []notices.Receiver{
		{Name: "daily", URL: "https://a.example/x", Format: "Slack", PerMinute: 20, Report: notices.Daily, ReportHour: 6, ReportDay: time.Monday},
		{Name: "weekly", URL: "https://a.example/x", Format: "CloudEvents", PerMinute: 20, Report: notices.Weekly, ReportHour: 0, ReportDay: time.Sunday, Kinds: []fleet.Happening{fleet.Slept}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if none, err := reads(t).read("webhooks: []"); err != nil || len(none) != 0 {
		t.Errorf("no webhooks: %v, %v", none, err)
	}
}

// secrets are what no message may say.
var secrets = []string{"hunter2", "T0/B0", "whsec_short", "whsec_%%%"}

func TestCodec_RefusesNamingTheFieldAndNoValue(t *testing.T) {
	hook := func(more string) string {
		return "webhooks: [{name: chat, url: 'https://a.example/T0/B0', format: Slack" + more + "}]"
	}
	for text, want := range map[string]string{
		"":                            "is empty",
		"hunter2":                     "object",
		"webhooks: {a: hunter2":       "neither YAML nor JSON",
		"webhooks: [{name: hunter2}]": "webhooks.0.url: must be given",
		"webhooks: []\nwebhooks: []":  "neither YAML nor JSON",
		"webhooks: []\nhunter: 1":     "no such field; known are webhooks",
		hook(", format: Pager"):       "neither YAML nor JSON", // twice
		hook(", perMinute: 0"):        "webhooks.0.perMinute: from 1 to 60",
		hook(", perMinute: often"):    "webhooks.0.perMinute",
		hook(", events: [Exploded]"):  "webhooks.0.events.0: one of [Woken Slept",
		hook(", events: []"):          "webhooks.0.events",
		hook(", deployments: ['']"):   "webhooks.0.deployments.0",
		hook(", signingKey: hunter2"): "webhooks.0.signingKey: ",
		hook(", signingKey: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3O===="): "webhooks.0.signingKey: whsec_ and 24 to 64 random bytes",
		hook(", signingKey: whsec_short"):                                 "webhooks.0.signingKey: ",
		hook(", report: hourly"):                                          "webhooks.0.report: one of [daily weekly]",
		hook(", report: daily, reportHour: 24"):                           "webhooks.0.reportHour: from 0 to 23",
		hook(", reportHour: 3"):                                           "webhooks.0.reportHour: only with report",
		hook(", reportDay: Monday"):                                       "webhooks.0.reportDay: only with report: weekly",
		hook(", report: daily, reportDay: Monday"):                        "webhooks.0.reportDay: only with report: weekly",
		hook(", report: weekly, reportDay: Mon"):                          "webhooks.0.reportDay: one of [Monday Tuesday",
		"webhooks: [{name: chat, url: 'https://a.example', format: Alertmanager, report: daily}]":      "webhooks.0.report: only with format Slack or CloudEvents; Alertmanager knows alerts and no reports",
		"webhooks: [{name: chat, url: 'https://a.example', format: AlertmanagerAPI, report: daily}]":   "webhooks.0.report: only with format Slack or CloudEvents",
		"webhooks: [{name: chat, url: 'ftp://hunter2', format: Slack}]":                                "webhooks.0.url: must match",
		"webhooks: [{name: chat, url: 'https://user:hunter2@a', format: Slack}]":                       "webhooks.0.url: must match",
		"webhooks: [{name: chat, url: 'https://a/#hunter2', format: Slack}]":                           "webhooks.0.url: must match",
		"webhooks: [{name: chat, url: 'https://[hunter2', format: Slack}]":                             "webhooks.0.url: an address such as",
		"webhooks: [{name: chat, url: 'https://:80/hunter2', format: Slack}]":                          "webhooks.0.url: an address such as",
		"webhooks: [{name: Chat, url: 'https://a/hunter2', format: Slack}]":                            "webhooks.0.name: must match",
		"webhooks: [{name: chat, url: 'https://a/hunter2', format: Pager}]":                            "webhooks.0.format: one of [Slack",
		"webhooks: [" + strings.Repeat("{name: a, url: 'https://a.b/T0/B0', format: Slack},", 2) + "]": "webhooks.1.name: another one has it too",
		"webhooks: [" + strings.Repeat("{name: a, url: 'https://a.b/T0/B0', format: Slack},", 9) + "]": "webhooks",
		"# " + strings.Repeat("hunter2", maxText):                                                      "more than the 65536 bytes",
	} {
		list, err := reads(t).read(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v (%v), want %q", text, err, list, want)
			continue
		}
		for _, secret := range secrets {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%.80s: it says %q: %v", text, secret, err)
			}
		}
	}
}

func TestCodec_ReadsTheExampleOfTheContract(t *testing.T) {
	raw, err := os.ReadFile("../../../../api/autoscaler.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Components struct {
			Schemas map[string]struct {
				Example any `json:"example"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := yaml.Unmarshal(raw, &spec); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(spec.Components.Schemas["Notifications"].Example)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := reads(t).read(string(text)); err != nil || len(list) != 3 {
		t.Errorf("%v, %v", list, err)
	}
}

// Whatever a Secret says, it is read within the bounds or refused, and what is read can be sent.
func FuzzCodec(f *testing.F) {
	f.Add("webhooks: [{name: chat, url: 'https://a.example/x', format: Slack, signingKey: " + aKey + "}]")
	f.Add("webhooks: []")
	f.Add("a: &a [*a]")
	c := reads(f)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := c.read(text)
		if err != nil {
			return
		}
		if len(list) > 8 {
			t.Errorf("%d receivers", len(list))
		}
		for _, r := range list {
			if _, err := request(t.Context(), notices.Delivery{Receiver: r, Notice: aNotice()}, noon); err != nil {
				t.Errorf("%+v cannot be sent to: %v", r, err)
			}
		}
	})
}
