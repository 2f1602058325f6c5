package objects

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
)

func TestObjects_AreWhatTheServerCanRead(t *testing.T) {
	a := New(4242)
	p := Pod{App: a, Index: 3, Owned: true}
	for what, body := range map[string][]byte{
		"namespace": Namespace(a.Namespace), "autoscaler": a.Autoscaler(), "deployment": a.Deployment(), "pod": p.Body(), "foreign pod": Pod{App: a}.Body(),
		"status": p.Status(true), "scale": a.Scale(3), "annotation": Annotation(1),
	} {
		if !json.Valid(body) {
			t.Errorf("%s: %s", what, body)
		}
	}
	if a.Namespace != "bench-042" || a.Name != "app-04242" {
		t.Errorf("%+v", a)
	}
}

func TestNamespaces_HoldEveryApplication(t *testing.T) {
	for _, c := range []struct{ n, want int }{{1, 1}, {100, 1}, {101, 2}, {10000, 100}} {
		names := Namespaces(c.n)
		if len(names) != c.want || names[len(names)-1] != New(c.n-1).Namespace {
			t.Errorf("%d: %v", c.n, names)
		}
	}
}

func TestPod_BelongsToItsDeploymentByNameAndHash(t *testing.T) {
	var pod struct {
		Metadata struct {
			Name            string
			Labels          map[string]string
			OwnerReferences []struct {
				Kind, Name string
				Controller bool
			}
		}
	}
	if err := json.Unmarshal((Pod{App: New(1), Index: 2, Owned: true}).Body(), &pod); err != nil {
		t.Fatal(err)
	}
	m := pod.Metadata
	if len(m.OwnerReferences) != 1 || !m.OwnerReferences[0].Controller || m.OwnerReferences[0].Name != "app-00001-"+m.Labels["pod-template-hash"] {
		t.Errorf("%+v", m)
	}
	if !strings.HasPrefix(m.Name, m.OwnerReferences[0].Name+"-") {
		t.Errorf("the pod is called %s", m.Name)
	}
}

func TestPod_IsStoredReadyAndUnderItsName(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range []Pod{{App: New(1), Index: 2, Owned: true}, {App: New(1), Index: 3, Owned: true}, {App: New(2), Index: 2, Owned: true}} {
		var stored struct {
			Metadata struct{ Name, Namespace, UID, CreationTimestamp string }
			Spec     struct{ NodeName string }
			Status   struct {
				PodIP      string
				Conditions []struct{ Type, Status string }
			}
		}
		if err := json.Unmarshal(p.Stored(), &stored); err != nil {
			t.Fatalf("%v: %s", err, p.Stored())
		}
		m := stored.Metadata
		if p.Key() != "/registry/pods/"+m.Namespace+"/"+m.Name || m.UID == "" || seen[m.UID] || m.CreationTimestamp == "" || stored.Spec.NodeName == "" {
			t.Errorf("%s: %+v", p.Key(), stored)
		}
		seen[m.UID] = true
		if last := stored.Status.Conditions[len(stored.Status.Conditions)-1]; last.Type != "Ready" || last.Status != "True" || stored.Status.PodIP != p.Address() {
			t.Errorf("%+v", stored.Status)
		}
	}
}

func TestPod_AddressesAreOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for app := range 2000 {
		for i := range 100 {
			address := Pod{App: New(app), Index: i}.Address()
			if net.ParseIP(address) == nil || seen[address] {
				t.Fatalf("pod %d of %d: %s", i, app, address)
			}
			seen[address] = true
		}
	}
}
