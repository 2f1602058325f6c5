package receivers

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/report"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))

func aNotice() notices.Notice {
	return notices.Notice{
		ID: "msg_1", Kind: fleet.StartSlow, Namespace: "shop", Autoscaler: "models", Deployment: "llama", At: noon, Warning: true,
		Message: "image <registry/llama> & more cannot be pulled", Took: 90 * time.Second, Repeats: 2,
	}
}

func TestRender(t *testing.T) {
	const title, text = "shop/llama has been starting for long", "shop/llama has been starting for long: image <registry/llama> & more cannot be pulled (2 times more since it was last told)"
	labels := map[string]any{"alertname": "NemesisStartSlow", "namespace": "shop", "severity": "warning", "customautoscaler": "models", "deployment": "llama"}
	annotations := map[string]any{"summary": title, "description": text}
	for format, c := range map[string]struct {
		contentType string
		want        any
	}{
		"Slack": {"application/json", map[string]any{
			"text": "shop/llama has been starting for long: image &lt;registry/llama&gt; &amp; more cannot be pulled (2 times more since it was last told)",
		}},
		"Alertmanager": {"application/json", map[string]any{
			"version": "4", "groupKey": `{}:{alertname="NemesisStartSlow", namespace="shop"}`, "truncatedAlerts": 0.0, "receiver": "chat", "status": "firing",
			"groupLabels": map[string]any{"alertname": "NemesisStartSlow", "namespace": "shop"}, "commonLabels": labels, "commonAnnotations": annotations, "externalURL": "",
			"alerts": []any{map[string]any{
				"status": "firing", "labels": labels, "annotations": annotations, "startsAt": "2026-03-01T11:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
				"generatorURL": "", "fingerprint": fingerprint(aNotice()),
			}},
		}},
		"AlertmanagerAPI": {"application/json", []any{map[string]any{
			"startsAt": "2026-03-01T11:00:00Z", "endsAt": "2026-03-01T11:15:00Z", "labels": labels, "annotations": annotations,
		}}},
		"CloudEvents": {"application/cloudevents+json", map[string]any{
			"specversion": "1.0", "id": "msg_1", "type": "autoscaler-group.autoscaler.startslow.v1", "subject": "deployments/llama", "time": "2026-03-01T11:00:00Z",
			"source": "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/shop/customautoscalers/models", "datacontenttype": "application/json",
			"data": map[string]any{
				"kind": "StartSlow", "namespace": "shop", "autoscaler": "models", "deployment": "llama", "time": "2026-03-01T11:00:00Z", "severity": "warning",
				"message": "image <registry/llama> & more cannot be pulled", "seconds": 90.0, "repeats": 2.0,
			},
		}},
	} {
		t.Run(format, func(t *testing.T) {
			contentType, body, err := render(notices.Receiver{Name: "chat", Format: notices.Format(format)}, aNotice())
			if err != nil || contentType != c.contentType {
				t.Fatalf("%s, %v", contentType, err)
			}
			var got any
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if _, _, err := render(notices.Receiver{Format: "Pager"}, aNotice()); err == nil {
		t.Error("an unknown format is written")
	}
}

func TestRender_OfAScalingFromAndTo(t *testing.T) {
	n := notices.Notice{ID: "msg_2", Kind: fleet.Scaled, Namespace: "shop", Autoscaler: "models", Deployment: "llama", At: noon, Message: "3 → 1: idle <60 s>", From: 3, To: 1}
	for format, want := range map[string][]string{
		"Slack":           {`"text":"shop/llama was scaled: 3 → 1: idle \u0026lt;60 s\u0026gt;"`},
		"Alertmanager":    {`"alertname":"NemesisScaled"`, `"severity":"info"`, `"from":"3"`, `"to":"1"`, `"summary":"shop/llama was scaled"`},
		"AlertmanagerAPI": {`"alertname":"NemesisScaled"`, `"from":"3"`, `"to":"1"`},
		"CloudEvents":     {`"type":"autoscaler-group.autoscaler.scaled.v1"`, `"kind":"Scaled"`, `"from":3`, `"to":1`, `"message":"3 → 1: idle`},
	} {
		_, body, err := render(notices.Receiver{Name: "chat", Format: notices.Format(format)}, n)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(string(body), text) {
				t.Errorf("%s: %s lacks %s", format, body, text)
			}
		}
	}
	if _, body, _ := render(notices.Receiver{Format: "CloudEvents"}, aNotice()); strings.Contains(string(body), `"from"`) {
		t.Errorf("what was not scaled: %s", body)
	}
}

// The SDK of CloudEvents reads and takes for valid what is sent, of every kind.
func TestRender_CloudEventsAreValid(t *testing.T) {
	for _, kind := range fleet.Happenings {
		_, body, err := render(notices.Receiver{Format: "CloudEvents"}, notices.Notice{ID: "1", Kind: kind, Namespace: "n", Autoscaler: "a", At: noon})
		if err != nil {
			t.Fatal(err)
		}
		var e event.Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if err := e.Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func aReport(namespace string) notices.Notice {
	r := report.Report{From: noon.Add(-24 * time.Hour), To: noon, Namespace: namespace, Applications: 2}
	r.Observed, r.Asleep, r.PodSeconds, r.SavedAgainstOne, r.SavedAgainstMaximum = 172800, 90000, 90000, 90000, 400000
	r.Contested = []report.Contested{{Key: fleet.Key{Namespace: "shop", Deployment: "llama"}, For: time.Minute, By: "<!channel> & co"}}
	return notices.Notice{ID: "msg_report_1", Kind: notices.Reported, Namespace: "shop", At: noon, Report: &r}
}

func TestRender_AReportAsTextOrWithMarkdownAndHTML(t *testing.T) {
	contentType, body, err := render(notices.Receiver{Format: "Slack"}, aReport("shop"))
	var chat struct{ Text string }
	if err != nil || contentType != "application/json" || json.Unmarshal(body, &chat) != nil {
		t.Fatalf("%s %s %v", contentType, body, err)
	}
	if !strings.HasPrefix(chat.Text, "Nemesis, namespace shop: a day\n") || !strings.Contains(chat.Text, "&lt;!channel&gt; &amp; co") || strings.ContainsAny(chat.Text, "<>") {
		t.Errorf("%s", chat.Text)
	}
	for namespace, source := range map[string]string{"shop": "namespaces/shop/customautoscalers", "": "customautoscalers"} {
		contentType, body, err := render(notices.Receiver{Format: "CloudEvents"}, aReport(namespace))
		var e struct {
			ID, Type, Source, Time string
			Data                   autoscaler.ReportNotice
		}
		if err != nil || contentType != "application/cloudevents+json" || json.Unmarshal(body, &e) != nil {
			t.Fatalf("%s %s %v", contentType, body, err)
		}
		if e.ID != "msg_report_1" || e.Type != "autoscaler-group.autoscaler.report.v1" || e.Source != "/apis/autoscaler-group.autoscaler/v1alpha1/"+source || e.Time != "2026-03-01T11:00:00Z" {
			t.Errorf("%+v", e)
		}
		if !strings.HasPrefix(e.Data.Markdown, "# Nemesis") || !strings.HasPrefix(e.Data.Html, "<!doctype html>") || e.Data.Report.Totals.PodSeconds != 90000 || strings.Contains(e.Data.Html, "<!channel>") {
			t.Errorf("%+v", e.Data)
		}
	}
	for _, format := range []notices.Format{"Alertmanager", "AlertmanagerAPI", "Pager"} {
		if _, body, err := render(notices.Receiver{Format: format}, aReport("shop")); err == nil {
			t.Errorf("%s: %s", format, body)
		}
	}
}
