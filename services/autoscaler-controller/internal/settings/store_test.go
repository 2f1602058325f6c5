package settings

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// policyOnly stands in for the contract's codec, which is httpapi's: the text is the policy's name.
type policyOnly struct{}

func (policyOnly) Read(text string) (fleet.BalancerSettings, error) {
	switch text = strings.TrimSpace(text); {
	case text == "":
		return fleet.BalancerSettings{Policy: "default"}, nil
	case strings.Contains(text, " "):
		return fleet.BalancerSettings{}, fault.New(fault.Invalid, "").With("policy", text, "one word")
	default:
		return fleet.BalancerSettings{Policy: text}, nil
	}
}
func (policyOnly) Write(s fleet.BalancerSettings) (string, error) { return s.Policy + "\n", nil }

// configured keeps what was published.
type configured []fleet.BalancerSettings

func (c *configured) Configure(s fleet.BalancerSettings) { *c = append(*c, s) }

// told are the events.
type told []kube.Event

func (t *told) Add(e kube.Event) { *t = append(*t, e) }

// stored is the ConfigMap as of a version.
func stored(version, policy string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: settingsName, ResourceVersion: version}, Data: map[string]string{settingsKey: policy},
	}
}

func TestSettings_AreNumberedByTheConfigMapsVersionWhateverBecomesOfIt(t *testing.T) {
	var published configured
	s := &Store{
		Options: Options{Log: slog.New(slog.DiscardHandler), Namespace: "ns", Codec: policyOnly{}, Sink: &published, Events: &told{}},
		trouble: "it was not read yet",
	}
	for i, step := range []struct {
		what    string
		object  any
		deleted bool
		want    *fleet.BalancerSettings // nil: nothing is published
	}{
		{"there is none yet", absent("3"), true, &fleet.BalancerSettings{Policy: "default", Version: 3}},
		{"it is made", stored("5", "random"), false, &fleet.BalancerSettings{Policy: "random", Version: 5}},
		{"older news", stored("4", "old"), false, nil},
		{"it is malformed", stored("6", "two words"), false, nil},
		{"older news again", stored("5", "random"), false, nil},
		{"the same again under a new version", stored("8", "random"), false, &fleet.BalancerSettings{Policy: "random", Version: 8}},
		{"it is deleted", stored("9", "random"), true, &fleet.BalancerSettings{Policy: "default", Version: 9}},
		{"it is made again", stored("12", "again"), false, &fleet.BalancerSettings{Policy: "again", Version: 12}},
		{"that it is gone is found out later", cache.DeletedFinalStateUnknown{Key: "ns/" + settingsName}, true, &fleet.BalancerSettings{Policy: "default", Version: 13}},
		{"without a version", stored("", "bare"), false, &fleet.BalancerSettings{Policy: "bare"}},
	} {
		before := len(published)
		s.seen(step.object, step.deleted)
		got := slices.Clone(published[before:])
		if step.want == nil && len(got) > 0 || step.want != nil && (len(got) != 1 || got[0] != *step.want) {
			t.Errorf("step %d, %s: published %+v, want %+v", i, step.what, got, step.want)
		}
	}
}
