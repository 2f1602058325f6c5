package objects

import (
	"bytes"
	"fmt"
)

// Pod is a pod of an application, or of nobody that Nemesis knows.
type Pod struct {
	App   App
	Index int // within the application
	Owned bool
}

// Name is its name.
func (p Pod) Name() string { return fmt.Sprintf("%s-%s-%04d", p.App.Name, hash, p.Index) }

// UID is its uid.
func (p Pod) UID() string {
	return fmt.Sprintf("00000000-0000-4000-9000-%012d", p.App.Index*1000+p.Index)
}

// PodsPath is where pods of its namespace are made.
func (p Pod) PodsPath() string { return "/api/v1/namespaces/" + p.App.Namespace + "/pods" }

// Path is the pod.
func (p Pod) Path() string { return p.PodsPath() + "/" + p.Name() }

// Body is the pod as a ReplicaSet makes it and the scheduler places it.
func (p Pod) Body() []byte {
	owner := ""
	if p.Owned {
		owner = fmt.Sprintf(`,"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"%s-%s","uid":"00000000-0000-4000-8000-%012d","controller":true,"blockOwnerDeletion":true}]`,
			p.App.Name, hash, p.App.Index)
	}
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"labels":{"app.kubernetes.io/name":%q,"team":"bench","pod-template-hash":%q}%s},
"spec":{"nodeName":"node-%d",%s}}`, p.Name(), p.App.Name, hash, owner, p.Index%10, podSpec)
}

// Key is where the API server stores it.
func (p Pod) Key() string { return PodsBelow(p.App.Namespace) + p.Name() }

// PodsBelow is where those of a namespace are stored.
func PodsBelow(namespace string) string { return "/registry/pods/" + namespace + "/" }

// Stored is the pod as the API server stores it, made ready by its kubelet.
func (p Pod) Stored() []byte {
	body, status := p.Body(), p.Status(true)
	made := fmt.Appendf(nil, `"metadata":{"namespace":%q,"uid":%q,"creationTimestamp":"2026-01-02T03:04:05Z",`, p.App.Namespace, p.UID())
	body = bytes.Replace(body, []byte(`"metadata":{`), made, 1)
	return append(append(body[:len(body)-1], ','), status[1:]...)
}

// Address is its address: some of 10.0.0.0/8.
func (p Pod) Address() string {
	n := p.App.Index*128 + p.Index
	return fmt.Sprintf("10.%d.%d.%d", 1+n/62500, n/250%250, 1+n%250)
}

// Status is what the kubelet says of it.
func (p Pod) Status(ready bool) []byte {
	word := "False"
	if ready {
		word = "True"
	}
	const since = "2026-01-02T03:04:05Z"
	return fmt.Appendf(nil, `{"status":{"phase":"Running","podIP":%[1]q,"podIPs":[{"ip":%[1]q}],"hostIP":"192.0.2.1","startTime":%[3]q,
"conditions":[{"type":"PodScheduled","status":"True","lastTransitionTime":%[3]q},{"type":"Initialized","status":"True","lastTransitionTime":%[3]q},
{"type":"ContainersReady","status":%[2]q,"lastTransitionTime":%[3]q},{"type":"Ready","status":%[2]q,"lastTransitionTime":%[3]q}],
"containerStatuses":[{"name":"server","image":"registry.example.com/bench/model-server:1.4.2","imageID":"sha256:0","ready":%[4]t,"restartCount":0,"started":true,"state":{"running":{"startedAt":%[3]q}}},
{"name":"sidecar","image":"registry.example.com/nemesis/sidecar:0.1.0","imageID":"sha256:0","ready":true,"restartCount":0,"started":true,"state":{"running":{"startedAt":%[3]q}}}]}}`,
		p.Address(), word, since, ready)
}

// Annotation is a patch that concerns nobody.
func Annotation(value int) []byte {
	return fmt.Appendf(nil, `{"metadata":{"annotations":{"bench/touched":"%d"}}}`, value)
}
