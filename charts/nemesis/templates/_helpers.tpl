{{/*
The objects are in manifests/, as kustomize makes them; what is here fills values in. A helper that takes an object changes that
object and prints nothing.
*/}}

{{/* Where the release is, in metadata and in the subjects of bindings. Takes object, root. */}}
{{- define "nemesis.place" -}}
{{- $namespace := .root.Release.Namespace -}}
{{- if hasKey .object.metadata "namespace" -}}
{{- $_ := set .object.metadata "namespace" $namespace -}}
{{- end -}}
{{- range .object.subjects -}}
{{- $_ := set . "namespace" $namespace -}}
{{- end -}}
{{- end -}}

{{/* All objects of a folder that have values for nothing but their labels. Takes folder, root and, if any, labels. */}}
{{- define "nemesis.folder" -}}
{{- $root := .root -}}
{{- $labels := .labels | default dict -}}
{{- range $path, $raw := .root.Files.Glob (printf "manifests/%s/*.yaml" .folder) -}}
{{- $object := fromYaml (toString $raw) -}}
{{- include "nemesis.place" (dict "object" $object "root" $root) -}}
{{- range $key, $value := $labels -}}
{{- $_ := set $object.metadata.labels $key $value -}}
{{- end -}}
{{- if eq $object.kind "ServiceMonitor" -}}
{{- range $object.spec.endpoints -}}
{{- $_ := set .tlsConfig "serverName" (printf "%s.%s.svc" $object.metadata.name $root.Release.Namespace) -}}
{{- end -}}
{{- end }}
---
{{ toYaml $object }}
{{- end -}}
{{- end -}}

{{/* The one namespace that is watched; empty: all. Takes the root. */}}
{{- define "nemesis.watched" -}}
{{- .Values.watchNamespace | default (ternary .Release.Namespace "" .Values.rbac.namespaced) -}}
{{- end -}}

{{/* An image's whole name. Takes image, name, root. */}}
{{- define "nemesis.image" -}}
{{- $repository := .image.repository | default (printf "%s/%s" (trimSuffix "/" .root.Values.images.registry) .name) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default .root.Values.images.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* A pod's image, and how it is pulled. Takes pod, image, name, root. */}}
{{- define "nemesis.pulled" -}}
{{- $container := index .pod.containers 0 -}}
{{- $_ := set $container "image" (include "nemesis.image" .) -}}
{{- with .root.Values.images.pullPolicy -}}
{{- $_ := set $container "imagePullPolicy" . -}}
{{- end -}}
{{- with .root.Values.images.pullSecrets -}}
{{- $_ := set $.pod "imagePullSecrets" . -}}
{{- end -}}
{{- end -}}

{{/* Nine tenths of a limit of memory, so that Go collects before the kernel kills. Takes the limit. */}}
{{- define "nemesis.gomemlimit" -}}
{{- if not (regexMatch "^[0-9]+(Mi|Gi)$" .) -}}
{{- fail (printf "resources.limits.memory: %q is not allowed: must be whole Mi or Gi, as 512Mi; or set GOMEMLIMIT in settings" .) -}}
{{- end -}}
{{- $mib := regexFind "^[0-9]+" . | int64 -}}
{{- if hasSuffix "Gi" . -}}
{{- $mib = mul $mib 1024 -}}
{{- end -}}
{{- $mib = div (mul $mib 9) 10 -}}
{{- if ge $mib 100 -}}
{{- $mib = mul (div $mib 10) 10 -}}
{{- end -}}
{{- printf "%dMiB" $mib -}}
{{- end -}}

{{/*
What the values of a service say of its Deployment or DaemonSet. Takes object, values, name (of the image), root and, if any:
adds (what components add to the object), env (name to value), class (of priority).
*/}}
{{- define "nemesis.workload" -}}
{{- $values := .values -}}
{{- $object := .object -}}
{{- $pod := $object.spec.template.spec -}}
{{- $container := index $pod.containers 0 -}}
{{- $given := .env | default dict -}}
{{- if and (ne $object.metadata.namespace .root.Release.Namespace) (ne .name "autoscaler-controller") -}}
{{- /* The programs know where it is by itself: in the namespace that kustomize/ has. */ -}}
{{- $_ := set $given "NEMESIS_CONTROLLER_URL" (printf "https://autoscaler-controller.%s.svc:8080" .root.Release.Namespace) -}}
{{- end -}}
{{- if .root.Values.clearText -}}
{{- /* As components/clear-text has it. */ -}}
{{- $_ := set $given "NEMESIS_CLEAR_TEXT" "true" -}}
{{- $_ := set $given "NEMESIS_AUTHENTICATION" "optional" -}}
{{- range $pod.volumes -}}
{{- range dig "projected" "sources" list . -}}
{{- if .configMap -}}
{{- $_ := set .configMap "optional" true -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- include "nemesis.place" . -}}
{{- include "nemesis.pulled" (dict "pod" $pod "image" $values.image "name" .name "root" .root) -}}
{{- if eq $object.kind "Deployment" -}}
{{- if kindIs "invalid" $values.replicas -}}
{{- $_ := unset $object.spec "replicas" -}}
{{- else -}}
{{- $_ := set $object.spec "replicas" (int64 $values.replicas) -}}
{{- end -}}
{{- with $values.strategy -}}
{{- $_ := set $object.spec "strategy" . -}}
{{- end -}}
{{- end -}}

{{- $env := $container.env -}}
{{- range .adds -}}
{{- $added := .spec.template.spec -}}
{{- with $added.volumes -}}
{{- $_ := set $pod "volumes" (concat ($pod.volumes | default list) .) -}}
{{- end -}}
{{- range $key, $items := index $added.containers 0 -}}
{{- if eq $key "env" -}}
{{- $env = concat $env $items -}}
{{- else -}}
{{- $_ := set $container $key (concat (get $container $key | default list) $items) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- $was := dig "limits" "memory" "" $container.resources -}}
{{- $limit := dig "limits" "memory" "" $values.resources | toString -}}
{{- if ne $was $limit -}}
{{- if hasKey $values.settings "GOMEMLIMIT" -}}
{{- else if $limit -}}
{{- $_ := set $given "GOMEMLIMIT" (include "nemesis.gomemlimit" $limit) -}}
{{- else -}}
{{- $kept := list -}}
{{- range $env -}}
{{- if ne .name "GOMEMLIMIT" -}}
{{- $kept = append $kept . -}}
{{- end -}}
{{- end -}}
{{- $env = $kept -}}
{{- end -}}
{{- end -}}
{{- $_ := set $container "resources" $values.resources -}}

{{- range $key, $value := merge (dict) $values.settings $given -}}
{{- $env = append $env (dict "name" $key "value" (ternary $value (toJson $value) (kindIs "string" $value))) -}}
{{- end -}}
{{- /* The last of a name is meant, where the first one stands: others may refer to it. */ -}}
{{- $last := dict -}}
{{- $names := list -}}
{{- range $env -}}
{{- if not (hasKey $last .name) -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- $_ := set $last .name . -}}
{{- end -}}
{{- $env = list -}}
{{- range $names -}}
{{- $env = append $env (get $last .) -}}
{{- end -}}
{{- $_ := set $container "env" $env -}}

{{- $meta := $object.spec.template.metadata -}}
{{- range $key, $value := $values.podAnnotations -}}
{{- $_ := set $meta.annotations $key $value -}}
{{- end -}}
{{- range $key, $value := $values.podLabels -}}
{{- if hasKey $meta.labels $key -}}
{{- fail (printf "podLabels: %q is not allowed: it is Nemesis's own" $key) -}}
{{- end -}}
{{- $_ := set $meta.labels $key $value -}}
{{- end -}}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" -}}
{{- $value := get $values $key -}}
{{- if $value -}}
{{- $_ := set $pod $key $value -}}
{{- else -}}
{{- $_ := unset $pod $key -}}
{{- end -}}
{{- end -}}
{{- with $values.priorityClassName | default .class -}}
{{- $_ := set $pod "priorityClassName" . -}}
{{- end -}}
{{- end -}}
