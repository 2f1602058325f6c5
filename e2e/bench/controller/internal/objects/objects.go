// Package objects has the objects of the benchmark as they are written to the API server: applications
// (a CustomAutoscaler and its Deployment each) that sleep, and pods of those that are awake. They are
// about as large as people's are, for memory is measured with them.
package objects

import "fmt"

const (
	perNamespace = 100
	hash         = "7d4b9c5f6b" // of the pods' template, as a ReplicaSet has it
	// Manager is the product's field manager: what the driver sets back in its name is no contest.
	Manager = "nemesis-autoscaler-controller"
	// System is the namespace of the controller, the load balancers and the collectors.
	System = "nemesis-system"
)

// App is one application.
type App struct {
	Index           int
	Namespace, Name string
}

// New is the application of a number.
func New(i int) App {
	return App{Index: i, Namespace: fmt.Sprintf("bench-%03d", i/perNamespace), Name: fmt.Sprintf("app-%05d", i)}
}

// Namespaces are those that n applications need.
func Namespaces(n int) []string {
	var list []string
	for i := 0; i < n; i += perNamespace {
		list = append(list, New(i).Namespace)
	}
	return list
}

// AutoscalersPath is where CustomAutoscalers of its namespace are made.
func (a App) AutoscalersPath() string {
	return "/apis/autoscaler-group.autoscaler/v1alpha1/namespaces/" + a.Namespace + "/customautoscalers"
}

// AutoscalerPath is its CustomAutoscaler.
func (a App) AutoscalerPath() string { return a.AutoscalersPath() + "/" + a.Name }

// DeploymentsPath is where Deployments of its namespace are made.
func (a App) DeploymentsPath() string {
	return "/apis/apps/v1/namespaces/" + a.Namespace + "/deployments"
}

// DeploymentPath is its Deployment.
func (a App) DeploymentPath() string { return a.DeploymentsPath() + "/" + a.Name }

// ScalePath is the Deployment's scale.
func (a App) ScalePath() string { return a.DeploymentPath() + "/scale" }

// Scale is what is applied to it: as the product does it, for any other PATCH to zero takes away the owner
// of the count, and who owns it is then somebody who sets it back.
func (a App) Scale(replicas int) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"namespace":%q,"name":%q},"spec":{"replicas":%d}}`, a.Namespace, a.Name, replicas)
}

// Namespace is a namespace.
func Namespace(name string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, name)
}

// Autoscaler is its CustomAutoscaler, of fields that every version has.
func (a App) Autoscaler() []byte {
	return fmt.Appendf(nil, `{"apiVersion":"autoscaler-group.autoscaler/v1alpha1","kind":"CustomAutoscaler",
"metadata":{"name":%[2]q,"labels":{"app.kubernetes.io/name":%[2]q,"team":"bench"}},
"spec":{"loadBalancingAlgorithm":"LeastConnections","targetDeployments":[{"name":%[2]q,"apiPrefix":"/%[1]s/%[2]s","port":"8000"}],
"idleTime":604800,"cpuThreshold":700,"minReplicas":0,"maxReplicas":1000,"wakeUpTimeout":120}}`, a.Namespace, a.Name)
}

const podSpec = `"containers":[{"name":"server","image":"registry.example.com/bench/model-server:1.4.2",
"ports":[{"name":"http","containerPort":8000}],
"env":[{"name":"PORT","value":"8000"},{"name":"MODEL","value":"small"},{"name":"SLOTS","value":"4"},{"name":"LOG_LEVEL","value":"info"}],
"resources":{"requests":{"cpu":"500m","memory":"1Gi"},"limits":{"cpu":"1","memory":"2Gi"}},
"readinessProbe":{"httpGet":{"path":"/health","port":"http"},"periodSeconds":2},
"volumeMounts":[{"name":"models","mountPath":"/models"}],
"securityContext":{"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true,"capabilities":{"drop":["ALL"]}}},
{"name":"sidecar","image":"registry.example.com/nemesis/sidecar:0.1.0","ports":[{"name":"sidecar","containerPort":8090}],
"env":[{"name":"NEMESIS_CONTROLLER","value":"http://autoscaler-controller.nemesis-system.svc:8080"}],
"resources":{"requests":{"cpu":"5m","memory":"16Mi"},"limits":{"cpu":"50m","memory":"32Mi"}}}],
"volumes":[{"name":"models","emptyDir":{}}],"automountServiceAccountToken":false,"terminationGracePeriodSeconds":60`

// Deployment is its Deployment, asleep.
func (a App) Deployment() []byte {
	return fmt.Appendf(nil, `{"apiVersion":"apps/v1","kind":"Deployment",
"metadata":{"name":%[1]q,"labels":{"app.kubernetes.io/name":%[1]q,"team":"bench"},"annotations":{"bench/description":"an application that mostly sleeps"}},
"spec":{"replicas":0,"selector":{"matchLabels":{"app.kubernetes.io/name":%[1]q}},
"template":{"metadata":{"labels":{"app.kubernetes.io/name":%[1]q,"team":"bench"},"annotations":{"prometheus.io/scrape":"true","prometheus.io/port":"8000"}},
"spec":{%[2]s}}}}`, a.Name, podSpec)
}
