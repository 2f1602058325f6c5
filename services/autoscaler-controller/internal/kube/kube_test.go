package kube

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

func TestRefusal_SaysWhyAndWhenToTryAgain(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for name, c := range map[string]struct {
		err  error
		code fault.Code
		want string
		wait time.Duration
	}{
		"it does not exist":       {apierrors.NewNotFound(pods, "p"), fault.Conflict, "cannot mark it: it does not exist", 0},
		"forbidden":               {apierrors.NewForbidden(pods, "p", errors.New("no rule")), fault.Unavailable, `the controller may not mark it: pods "p" is forbidden: no rule`, 5 * time.Second},
		"not known":               {apierrors.NewUnauthorized("who are you"), fault.Unavailable, "the controller may not mark it: who are you", 5 * time.Second},
		"no answer":               {errors.New("connection refused"), fault.Unavailable, "cannot mark it: the Kubernetes API server does not answer", time.Second},
		"too busy":                {apierrors.NewTooManyRequestsError("slow down"), fault.Unavailable, "cannot mark it: Too many requests: slow down", time.Second},
		"too busy, in more words": {fmt.Errorf("patch: %w", apierrors.NewTooManyRequestsError("slow down")), fault.Unavailable, "cannot mark it: patch: Too many requests: slow down", time.Second},
	} {
		err := Refusal(c.err, "mark it")
		got := fault.From(err)
		if got.Code != c.code || got.Detail != c.want || got.RetryAfter != c.wait || !errors.Is(err, c.err) {
			t.Errorf("%s: %v %q after %v", name, got.Code, got.Detail, got.RetryAfter)
		}
	}
	if err := Refusal(nil, "mark it"); err != nil {
		t.Errorf("of no error: %v", err)
	}
}

func TestVersion_IsANumberOrNone(t *testing.T) {
	for text, want := range map[string]uint64{"": 0, "12": 12, "-1": 0, "x": 0, "18446744073709551615": 1<<64 - 1, "18446744073709551616": 0} {
		if got := Version(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

func TestBounded_GivesACallItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := Bounded(t.Context())
		defer cancel()
		<-ctx.Done()
		if took := time.Since(began); took != CallTimeout {
			t.Errorf("it ended after %v", took)
		}
	})
}

func TestConfig_SaysWhatIsMissing(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := Config(""); err == nil || !strings.Contains(err.Error(), "neither in a pod nor with a kubeconfig") {
		t.Errorf("without a file: %v", err)
	}
	if _, err := Config(t.TempDir() + "/missing"); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestWithoutManagedFields_DropsThemAlone(t *testing.T) {
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "m", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}}, Data: map[string]string{"a": "b"}}
	if _, err := withoutManagedFields(m); err != nil || m.ManagedFields != nil || m.Name != "m" || m.Data["a"] != "b" {
		t.Errorf("%+v, %v", m, err)
	}
	if object, err := withoutManagedFields("no object"); err != nil || object != "no object" {
		t.Errorf("%v, %v", object, err)
	}
}
