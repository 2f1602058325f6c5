package injection

import (
	"fmt"
	"strconv"
)

// object is a part of a manifest.
type object = map[string]any

// identity is the sidecar's token, of an audience that is nobody else's, and by what it knows the controller.
// The ConfigMap need not be there.
var identity = object{
	"name": Volume,
	"projected": object{"sources": []any{
		object{"serviceAccountToken": object{"audience": "nemesis", "expirationSeconds": 3600, "path": "token"}},
		object{"configMap": object{"name": "nemesis-ca", "optional": true, "items": []any{object{"key": "ca.crt", "path": "ca.crt"}}}},
	}},
}

// sidecar is the container. But for the folders whose use is measured, which it would have to mount, and for the token it is
// that of kustomize/components/sidecar, as a test says. It has no port and no check of its own.
func sidecar(p Pod, s Sidecar, set Settings) object {
	env := []any{fromField("POD_NAME", "metadata.name"), fromField("POD_NAMESPACE", "metadata.namespace"), fromField("POD_UID", "metadata.uid")}
	switch {
	case p.Metadata.Annotations[MetricsURL] != "":
		env = append(env, fromField("NEMESIS_APP_METRICS_URL", "metadata.annotations['"+MetricsURL+"']"))
	case s.MetricsPort > 0:
		env = append(env, variable("NEMESIS_APP_METRICS_URL", fmt.Sprintf("http://localhost:%d%s", s.MetricsPort, s.MetricsPath)))
	}
	if set.Controller != "" {
		env = append(env, variable("NEMESIS_CONTROLLER_URL", set.Controller))
	}
	image, memory := set.Image, "48Mi"
	if gpus := p.GPUs(); gpus > 0 && set.GPUImage != "" {
		image, memory = set.GPUImage, "128Mi" // NVIDIA's library is in it, which keeps what it likes
		env = append(env, variable("NEMESIS_GPUS", strconv.Itoa(gpus)))
	}
	container := object{
		"name":  Container,
		"image": image,
		"env":   append(env, variable("GOMEMLIMIT", "24MiB"), variable("GOMAXPROCS", "1")),
		"securityContext": object{
			"runAsNonRoot": true, "runAsUser": 65533, "runAsGroup": 65533,
			"seccompProfile":           object{"type": "RuntimeDefault"},
			"allowPrivilegeEscalation": false,
			"readOnlyRootFilesystem":   true,
			"capabilities":             object{"drop": []any{"ALL"}},
		},
		"volumeMounts": []any{object{"name": Volume, "mountPath": "/var/run/secrets/nemesis", "readOnly": true}},
	}
	if !p.budgeted() {
		container["resources"] = object{
			"requests": object{"cpu": "10m", "memory": "16Mi"},
			"limits":   object{"memory": memory},
		}
	}
	return container
}

func variable(name, value string) object { return object{"name": name, "value": value} }

func fromField(name, path string) object {
	return object{"name": name, "valueFrom": object{"fieldRef": object{"fieldPath": path}}}
}
