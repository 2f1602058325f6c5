package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/nemesis-scaling/nemesis/cli/internal/adopt"
	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/cli/internal/show"
)

// adoptable are the kinds by the names that people give them.
var adoptable = map[string]schema.GroupVersionResource{
	"hpa":              {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
	"scaledobject":     {Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"},
	"httpscaledobject": {Group: "http.keda.sh", Version: "v1alpha1", Resource: "httpscaledobjects"},
	"ksvc":             {Group: "serving.knative.dev", Version: "v1", Resource: "services"},
}

var (
	deploymentResource = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	serviceResource    = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	routeResources     = []schema.GroupVersionResource{
		{Group: "http.keda.sh", Version: "v1beta1", Resource: "interceptorroutes"}, adoptable["httpscaledobject"],
	}
)

func adoptVerb(t *tool) *cobra.Command {
	var files []string
	var beside adopt.Beside
	c := &cobra.Command{
		Use: "adopt [KIND/NAME]", GroupID: changes,
		Short: "Write the CustomAutoscaler of what scales it today",
		Long: `Makes a CustomAutoscaler of a HorizontalPodAutoscaler (hpa/NAME), a ScaledObject of KEDA with its InterceptorRoute (scaledobject/NAME), an
HTTPScaledObject (httpscaledobject/NAME) or a Service of Knative (ksvc/NAME), from the cluster or from files. What became of each field,
and of which nothing, stands in it as comments. Nothing is changed: apply it yourself when you have read it.

Of files the first manifest of such a kind is adopted; Deployments, Services and routes in them say the rest: on which port requests are
answered, and what the pods request.`,
		Example: `  nemesis adopt hpa/cart > cart.yaml
  nemesis adopt scaledobject/llm | kubectl apply -f -
  nemesis adopt -f manifests.yaml --prefix /llm --port 8000`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"hpa/", "scaledobject/", "httpscaledobject/", "ksvc/"}, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (len(files) > 0) {
				return &client.UsageError{Message: "say what is adopted: KIND/NAME of the cluster, or -f FILE"}
			}
			var of adopt.Object
			var err error
			if len(files) > 0 {
				of, err = t.fromFiles(files, &beside)
			} else {
				of, err = t.fromCluster(cmd.Context(), args[0], &beside)
			}
			if err != nil {
				return err
			}
			made, err := adopt.Adopt(of, beside)
			if err != nil {
				return err
			}
			return t.adopted(made)
		},
	}
	f := c.Flags()
	f.StringSliceVarP(&files, "file", "f", nil, "`files` with manifests; - is the standard input")
	f.StringVar(&beside.Prefix, "prefix", "", "the apiPrefix at which requests come")
	f.StringSliceVar(&beside.Hosts, "host", nil, "the `hosts` at which requests come")
	f.StringVar(&beside.Service, "service", "", "the Service before the Deployment")
	f.StringVar(&beside.Port, "port", "", "its port, or without a Service the pod's: a number or a name")
	must(c.MarkFlagFilename("file", "yaml", "yml", "json"))
	return c
}

// adopted shows what came of it: manifests with comments, or all of it as JSON.
func (t *tool) adopted(a adopt.Adoption) error {
	if t.output == "json" {
		return t.print(view{value: map[string]any{"from": a.From, "objects": a.Objects, "mapped": a.Mapped, "left": a.Left, "next": a.Next}})
	}
	var b bytes.Buffer
	comment := func(format string, args ...any) { fmt.Fprintln(&b, "# "+show.Line(fmt.Sprintf(format, args...))) }
	comment("From the %s. What has become of what:", a.From)
	for _, f := range a.Mapped {
		comment("  %s → %s", f.Field, f.Note)
	}
	if len(a.Left) > 0 {
		comment("What nothing has become of:")
	}
	for _, f := range a.Left {
		comment("  %s: %s", f.Field, f.Note)
	}
	if len(a.Next) > 0 {
		comment("What is left to do:")
	}
	for _, next := range a.Next {
		comment("  %s", next)
	}
	for _, o := range a.Objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "---\n%s", text)
	}
	_, err := t.Out.Write(b.Bytes())
	return err
}

// fileLimit bounds what is read of a file.
const fileLimit = 16 << 20

// fromFiles takes the first manifest that can be adopted, and the others beside it.
func (t *tool) fromFiles(files []string, beside *adopt.Beside) (adopt.Object, error) {
	var of adopt.Object
	for _, name := range files {
		text, err := t.content(name)
		if err != nil {
			return nil, &client.UsageError{Message: fmt.Sprintf("--file: %v", err)}
		}
		for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
			var o adopt.Object
			if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, &client.UsageError{Message: fmt.Sprintf("--file %s is no YAML: %v", name, err)}
			}
			switch kind, version := fmt.Sprint(o["kind"]), fmt.Sprint(o["apiVersion"]); {
			case len(o) == 0:
			case kind == "Deployment":
				beside.Deployments = append(beside.Deployments, o)
			case kind == "Service" && version == "v1":
				beside.Services = append(beside.Services, o)
			case kind == "InterceptorRoute" || kind == "HTTPScaledObject":
				beside.Routes = append(beside.Routes, o)
			case of == nil && slices.Contains([]string{"HorizontalPodAutoscaler", "ScaledObject", "Service"}, kind):
				of = o
			}
		}
	}
	if of == nil && len(beside.Routes) > 0 {
		of = beside.Routes[0]
	}
	if of == nil {
		return nil, &client.UsageError{Message: "--file: no HorizontalPodAutoscaler, ScaledObject, HTTPScaledObject or Knative Service is in " + strings.Join(files, ", ")}
	}
	return of, nil
}

func (t *tool) content(name string) ([]byte, error) {
	from := t.In
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // it is the person's own to name
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, fileLimit+1))
	if err == nil && len(text) > fileLimit {
		err = fmt.Errorf("%s has more than %s", name, show.Bytes(fileLimit))
	}
	return text, err
}

// fromCluster reads what is adopted, and of its namespace what may say more. Who may not see that goes without.
func (t *tool) fromCluster(ctx context.Context, said string, beside *adopt.Beside) (adopt.Object, error) {
	kind, name, ok := strings.Cut(said, "/")
	resource, known := adoptable[strings.ToLower(kind)]
	if !ok || !known || name == "" {
		return nil, &client.UsageError{Message: fmt.Sprintf("%q cannot be adopted: write hpa/NAME, scaledobject/NAME, httpscaledobject/NAME or ksvc/NAME", said)}
	}
	kubernetes, err := t.nemesis.Kubernetes()
	if err != nil {
		return nil, err
	}
	p := t.progress("reading " + said)
	defer p.end()
	namespace := t.nemesis.Namespace()
	object, err := kubernetes.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, client.Refused(said+" in "+namespace, err)
	}
	for into, of := range map[*[]adopt.Object][]schema.GroupVersionResource{
		&beside.Deployments: {deploymentResource}, &beside.Services: {serviceResource}, &beside.Routes: routeResources,
	} {
		for _, r := range of {
			found, err := all(ctx, kubernetes, r, namespace)
			if err != nil {
				return nil, err
			}
			*into = append(*into, found...)
		}
	}
	return object.Object, nil
}

// all are the objects of a namespace; none where there is no such kind, or the caller may not see it.
func all(ctx context.Context, kubernetes dynamic.Interface, r schema.GroupVersionResource, namespace string) ([]adopt.Object, error) {
	listed, err := kubernetes.Resource(r).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: 1000})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, client.Refused(r.Resource+" of "+namespace, err)
	}
	objects := make([]adopt.Object, len(listed.Items))
	for i, item := range listed.Items {
		objects[i] = item.Object
	}
	return objects, nil
}
