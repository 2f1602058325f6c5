package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/pkg/contract"
	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
)

// GetBalancerSettings shows what every load balancer follows.
func (a *api) GetBalancerSettings(context.Context, autoscaler.GetBalancerSettingsRequestObject) (autoscaler.GetBalancerSettingsResponseObject, error) {
	s, err := a.Settings.Now()
	if err != nil {
		return nil, err
	}
	return autoscaler.GetBalancerSettings200JSONResponse{
		Body: *balancerSettings(&s), Headers: autoscaler.GetBalancerSettings200ResponseHeaders{NemesisSettingsVersion: settingsVersion(&s)},
	}, nil
}

// PutBalancerSettings has the settings kept, and answers with what is kept.
func (a *api) PutBalancerSettings(ctx context.Context, in autoscaler.PutBalancerSettingsRequestObject) (autoscaler.PutBalancerSettingsResponseObject, error) {
	text, err := json.Marshal(in.Body)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	wanted, err := a.codec.Read(string(text)) // fills in the defaults
	if err != nil {
		return nil, err
	}
	var before *fleet.BalancerSettings
	if now, err := a.Settings.Now(); err == nil {
		before = &now
	}
	kept, err := a.Settings.Keep(ctx, wanted)
	if err != nil {
		a.changedSettings(ctx, before, nil, err)
		return nil, err
	}
	a.changedSettings(ctx, before, &kept, nil)
	return autoscaler.PutBalancerSettings200JSONResponse{
		Body: *balancerSettings(&kept), Headers: autoscaler.PutBalancerSettings200ResponseHeaders{NemesisSettingsVersion: settingsVersion(&kept)},
	}, nil
}

func balancerSettings(s *fleet.BalancerSettings) *common.BalancerSettings {
	if s == nil {
		return nil
	}
	timeout := wholeSeconds(s.Timeout)
	return &common.BalancerSettings{
		Policy: optional(common.BalancingPolicy(s.Policy)), MaxConnections: &s.MaxConnections, TimeoutSeconds: &timeout,
	}
}

// settingsVersion is nil when it is not known.
func settingsVersion(s *fleet.BalancerSettings) *autoscaler.SettingsVersion {
	if s == nil || s.Version == 0 || s.Version > math.MaxInt64 {
		return nil
	}
	return new(autoscaler.SettingsVersion(s.Version))
}

// SettingsCodec reads and writes the load balancers' settings as text. What is allowed, and what is
// taken where nothing is said, stands in the contract and nowhere else: whether the settings come
// by the API, by a hand that edits them in the cluster, or not at all.
type SettingsCodec struct{ schema *contract.Schema }

// NewSettingsCodec makes it.
func NewSettingsCodec() (*SettingsCodec, error) {
	schema, err := contract.NewSchema(common.GetSpec, "BalancerSettings")
	return &SettingsCodec{schema}, err
}

// maxSettings bounds the text of the settings, in bytes.
const maxSettings = 64 << 10

// Read takes YAML or JSON; no text at all is every default. The error is a fault.Invalid that names
// each field, its value and what is allowed.
func (c *SettingsCodec) Read(text string) (fleet.BalancerSettings, error) {
	if len(text) > maxSettings {
		return fleet.BalancerSettings{}, fault.New(fault.Invalid, "the settings have %d bytes; at most %d are read", len(text), maxSettings)
	}
	raw, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return fleet.BalancerSettings{}, fault.New(fault.Invalid, "the settings are neither YAML nor JSON: %s", err)
	}
	var document any
	if err := json.Unmarshal(raw, &document); err != nil {
		return fleet.BalancerSettings{}, fmt.Errorf("settings: %w", err)
	}
	if document == nil {
		document = map[string]any{}
	}
	if refused := c.schema.Fill(document); refused != nil {
		return fleet.BalancerSettings{}, refused
	}
	if raw, err = json.Marshal(document); err != nil {
		return fleet.BalancerSettings{}, fmt.Errorf("settings: %w", err)
	}
	var s common.BalancerSettings
	if err := json.Unmarshal(raw, &s); err != nil {
		return fleet.BalancerSettings{}, fault.New(fault.Invalid, "the settings do not fit: %s", err)
	}
	return fleet.BalancerSettings{
		Policy: string(value(s.Policy, "")), MaxConnections: value(s.MaxConnections, 0),
		Timeout: time.Duration(value(s.TimeoutSeconds, 0)) * time.Second,
	}, nil
}

// Write is YAML that Read takes.
func (c *SettingsCodec) Write(s fleet.BalancerSettings) (string, error) {
	text, err := yaml.Marshal(balancerSettings(&s))
	if err != nil {
		return "", fmt.Errorf("settings: %w", err)
	}
	return string(text), nil
}
