package receivers

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/url"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/contract"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
)

// firesFor is when an alert made of a notice ends by itself: a notice says what happened, and nobody says that it
// is over.
const firesFor = 15 * time.Minute

const mediaJSON = "application/json"

// render writes a notice as a receiver wants it.
func render(r notices.Receiver, n notices.Notice) (contentType string, body []byte, err error) {
	if n.Report != nil {
		return renderReport(r, n)
	}
	switch autoscaler.NotificationFormat(r.Format) {
	case autoscaler.NotificationSlack:
		body, err = json.Marshal(slack{Text: slackText.Replace(n.Text())})
		return mediaJSON, body, err
	case autoscaler.NotificationAlertmanager:
		body, err = json.Marshal(group(r, n))
		return mediaJSON, body, err
	case autoscaler.NotificationAlertmanagerAPI:
		body, err = json.Marshal([]posted{{StartsAt: n.At.UTC(), EndsAt: n.At.Add(firesFor).UTC(), Labels: labels(n), Annotations: annotations(n)}})
		return mediaJSON, body, err
	case autoscaler.NotificationCloudEvents:
		body, err = cloudEvent(n)
		return event.ApplicationCloudEventsJSON, body, err
	}
	return "", nil, fmt.Errorf("there is no format %q", r.Format)
}

// slack is what an incoming webhook takes.
type slack struct {
	Text string `json:"text"`
}

// slackText escapes what Slack gives a meaning to: with these three there is neither a link nor a mention.
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// message is what Alertmanager sends to its webhook receivers, version 4.
type message struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   uint64            `json:"truncatedAlerts"`
	Receiver          string            `json:"receiver"`
	Status            string            `json:"status"`
	Alerts            []alert           `json:"alerts"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
}

type alert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// posted is what Alertmanager's API takes.
type posted struct {
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

const firing = "firing"

func group(r notices.Receiver, n notices.Notice) message {
	by, with := labels(n), annotations(n)
	key := fmt.Sprintf("{}:{alertname=%q, namespace=%q}", by["alertname"], n.Namespace)
	return message{
		Version: "4", GroupKey: key, Receiver: r.Name, Status: firing,
		Alerts: []alert{{
			Status: firing, Labels: by, Annotations: with, StartsAt: n.At.UTC(), Fingerprint: fingerprint(n), // EndsAt is zero while it fires
		}},
		GroupLabels:  map[string]string{"alertname": by["alertname"], "namespace": n.Namespace},
		CommonLabels: by, CommonAnnotations: with,
	}
}

func labels(n notices.Notice) map[string]string {
	all := map[string]string{"alertname": "Nemesis" + string(n.Kind), "namespace": n.Namespace, "severity": severity(n)}
	if n.Autoscaler != "" {
		all["customautoscaler"] = n.Autoscaler
	}
	if n.Deployment != "" {
		all["deployment"] = n.Deployment
	}
	return all
}

func annotations(n notices.Notice) map[string]string {
	all := map[string]string{"summary": n.Title(), "description": n.Text()}
	if n.Kind == fleet.Scaled {
		all["from"], all["to"] = fmt.Sprint(n.From), fmt.Sprint(n.To)
	}
	return all
}

func severity(n notices.Notice) string {
	if n.Warning {
		return string(autoscaler.NoticeWarning)
	}
	return string(autoscaler.NoticeInfo)
}

// fingerprint is the same for notices of one kind about one application.
func fingerprint(n notices.Notice) string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s", n.Kind, n.Namespace, n.Autoscaler, n.Deployment)
	return fmt.Sprintf("%016x", h.Sum64())
}

// eventType is the type of a kind's CloudEvents; another meaning would get another number.
const eventType = "autoscaler-group.autoscaler.%s.v1"

func cloudEvent(n notices.Notice) ([]byte, error) {
	e := newEvent(n, sourceIn(n.Namespace)+"/"+url.PathEscape(n.Autoscaler))
	if n.Deployment != "" {
		e.SetSubject("deployments/" + n.Deployment)
	}
	data := autoscaler.Notice{
		Kind: autoscaler.NoticeKind(n.Kind), Namespace: n.Namespace, Autoscaler: optional(n.Autoscaler), Deployment: optional(n.Deployment),
		Time: n.At.UTC(), Severity: autoscaler.NoticeSeverity(severity(n)), Message: n.Message, Seconds: optional(n.Took.Seconds()), Repeats: optional(int32(min(n.Repeats, 1<<30))), //nolint:gosec // bounded
	}
	if n.Kind == fleet.Scaled {
		data.From, data.To = &n.From, &n.To
	}
	return with(&e, data)
}

// sourceIn is where the CustomAutoscalers of a namespace are, or of all ("").
func sourceIn(namespace string) string {
	source := "/apis/autoscaler-group.autoscaler/v1alpha1/"
	if namespace != "" {
		source += "namespaces/" + url.PathEscape(namespace) + "/"
	}
	return source + "customautoscalers"
}

func newEvent(n notices.Notice, source string) event.Event {
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(n.ID)
	e.SetType(fmt.Sprintf(eventType, strings.ToLower(string(n.Kind))))
	e.SetSource(source)
	e.SetTime(n.At.UTC())
	return e
}

// with writes an event with its data.
func with(e *event.Event, data any) ([]byte, error) {
	if err := e.SetData(event.ApplicationJSON, data); err != nil {
		return nil, fmt.Errorf("CloudEvent: %w", err)
	}
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("CloudEvent: %w", err)
	}
	return e.MarshalJSON()
}

// renderReport writes a report as a receiver wants it.
func renderReport(r notices.Receiver, n notices.Notice) (contentType string, body []byte, err error) {
	switch autoscaler.NotificationFormat(r.Format) {
	case autoscaler.NotificationSlack:
		body, err = json.Marshal(slack{Text: slackText.Replace(n.Report.Text())})
		return mediaJSON, body, err
	case autoscaler.NotificationCloudEvents:
		page, err := n.Report.HTML()
		if err != nil {
			return "", nil, err //nolint:wrapcheck // it says of what
		}
		e := newEvent(n, sourceIn(n.Report.Namespace))
		body, err = with(&e, autoscaler.ReportNotice{Report: contract.Report(*n.Report), Markdown: n.Report.Markdown(), Html: page})
		return event.ApplicationCloudEventsJSON, body, err
	case autoscaler.NotificationAlertmanager, autoscaler.NotificationAlertmanagerAPI: // refused as the Secret is read
	}
	return "", nil, fmt.Errorf("no report is written as %q", r.Format)
}
