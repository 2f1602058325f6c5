package receivers

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
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
