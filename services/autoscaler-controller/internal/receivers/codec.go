package receivers

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
)

// maxText bounds what is read of a Secret, in bytes.
const maxText = 64 << 10

// codec reads what a Secret says. What is allowed, and what is taken where nothing is said, stands in the contract.
type codec struct{ schema *contract.Schema }

func newCodec() (*codec, error) {
	schema, err := contract.NewSchema(autoscaler.GetSpec, "Notifications")
	return &codec{schema}, err
}

// read takes YAML or JSON. The error names each field and what is allowed, and no value: they are secret, and an
// error is read by more people than a Secret.
func (c *codec) read(text string) ([]notices.Receiver, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%s has more than the %d bytes that are read", key, maxText)
	}
	raw, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s is neither YAML nor JSON", key)
	}
	var document any
	if err := json.Unmarshal(raw, &document); err != nil {
		return nil, fmt.Errorf("%s is neither YAML nor JSON", key)
	}
	if document == nil {
		return nil, fmt.Errorf("%s is empty", key)
	}
	if refused := c.schema.Fill(document); refused != nil {
		return nil, unsaid(refused)
	}
	var n autoscaler.Notifications
	if raw, err = json.Marshal(document); err == nil {
		err = json.Unmarshal(raw, &n)
	}
	if err != nil {
		return nil, fmt.Errorf("%s does not fit the contract", key)
	}
	list := make([]notices.Receiver, 0, len(n.Webhooks))
	for i, w := range n.Webhooks {
		r, err := receiver(w)
		if err == nil && slices.ContainsFunc(list, func(other notices.Receiver) bool { return other.Name == r.Name }) {
			err = errors.New("name: another one has it too")
		}
		if err != nil {
			return nil, fmt.Errorf("webhooks.%d.%w", i, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// unsaid is a refusal without the values that were refused.
func unsaid(f *fault.Error) error {
	said := make([]string, 0, len(f.Fields))
	for _, field := range f.Fields {
		said = append(said, strings.TrimPrefix(field.Field, "body.")+": "+field.Allowed)
	}
	return errors.New(strings.Join(said, "; "))
}

func receiver(w autoscaler.NotificationWebhook) (notices.Receiver, error) {
	u, err := url.Parse(w.Url)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return notices.Receiver{}, errors.New("url: an address such as https://host/path")
	}
	r := notices.Receiver{Name: w.Name, URL: w.Url, Format: notices.Format(w.Format), Keys: value(w.SigningKey), PerMinute: int(value(w.PerMinute))}
	for one := range strings.FieldsSeq(r.Keys) {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one, "whsec_"))
		if err != nil || len(raw) < 24 || len(raw) > 64 {
			return notices.Receiver{}, errors.New("signingKey: whsec_ and 24 to 64 random bytes in base64")
		}
	}
	for _, kind := range value(w.Events) {
		r.Kinds = append(r.Kinds, fleet.Happening(kind))
	}
	r.Deployments = value(w.Deployments)
	err = reports(&r, w)
	return r, err
}

// The hour and the day of a report where nothing is said, as in the contract.
const (
	reportHour = 6
	reportDay  = time.Monday
)

// reports reads which reports a receiver is sent.
func reports(r *notices.Receiver, w autoscaler.NotificationWebhook) error {
	slack, events := w.Format == autoscaler.NotificationSlack, w.Format == autoscaler.NotificationCloudEvents
	switch {
	case w.Report == nil && w.ReportHour != nil:
		return errors.New("reportHour: only with report")
	case w.Report == nil && w.ReportDay != nil, w.Report != nil && *w.Report != autoscaler.ReportWeekly && w.ReportDay != nil:
		return errors.New("reportDay: only with report: weekly")
	case w.Report == nil:
		return nil
	case !slack && !events:
		return errors.New("report: only with format Slack or CloudEvents; Alertmanager knows alerts and no reports")
	}
	r.Report, r.ReportHour, r.ReportDay = notices.Every(*w.Report), reportHour, reportDay
	if w.ReportHour != nil {
		r.ReportHour = int(*w.ReportHour)
	}
	if w.ReportDay != nil {
		for day := time.Sunday; day <= time.Saturday; day++ {
			if day.String() == string(*w.ReportDay) {
				r.ReportDay = day
			}
		}
	}
	return nil
}

func value[T any](p *T) (zero T) {
	if p == nil {
		return zero
	}
	return *p
}

func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
