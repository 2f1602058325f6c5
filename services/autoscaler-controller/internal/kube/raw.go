package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	serializerjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// Raw is an object of a kind that client-go has no type for, as it comes: what all objects have is read, and its
// spec and status are left as they are, in JSON. client-go's dynamic client goes over each object some ten
// times and makes maps of it; that was half of what an event of a CustomAutoscaler cost, most of which say
// nothing that is not known.
type Raw struct {
	metav1.TypeMeta
	Meta   RawMeta         `json:"metadata"`
	Spec   json.RawMessage `json:"spec"`
	Status json.RawMessage `json:"status"`
}

// CustomAutoscalers are the objects of the product's own kind.
var CustomAutoscalers = schema.GroupVersionResource{Group: "autoscaler-group.autoscaler", Version: "v1alpha1", Resource: "customautoscalers"}

// RawMeta is what is read of an object's metadata.
type RawMeta struct {
	Namespace         string            `json:"namespace"`
	Name              string            `json:"name"`
	UID               types.UID         `json:"uid"`
	ResourceVersion   string            `json:"resourceVersion"`
	Generation        int64             `json:"generation"`
	CreationTimestamp metav1.Time       `json:"creationTimestamp"`
	Annotations       map[string]string `json:"annotations"`
	ManagedFields     []RawManager      `json:"managedFields"`
}

// RawManager is who wrote fields, and when.
type RawManager struct {
	Subresource string       `json:"subresource"`
	Time        *metav1.Time `json:"time"`
}

var (
	_ runtime.Object            = (*Raw)(nil)
	_ metav1.ObjectMetaAccessor = (*Raw)(nil)
	_ runtime.Object            = (*RawList)(nil)
	_ metav1.ListMetaAccessor   = (*RawList)(nil)
)

// GetObjectMeta is its metadata, as far as it is read.
func (r *Raw) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{
		Namespace: r.Meta.Namespace, Name: r.Meta.Name, UID: r.Meta.UID, ResourceVersion: r.Meta.ResourceVersion,
		Generation: r.Meta.Generation, CreationTimestamp: r.Meta.CreationTimestamp, Annotations: r.Meta.Annotations,
	}
}

// DeepCopyObject copies it.
func (r *Raw) DeepCopyObject() runtime.Object {
	out := *r
	out.Meta.Annotations, out.Meta.ManagedFields = maps.Clone(r.Meta.Annotations), slices.Clone(r.Meta.ManagedFields)
	out.Spec, out.Status = bytes.Clone(r.Spec), bytes.Clone(r.Status)
	return &out
}

// RawList is a list of them.
type RawList struct {
	metav1.TypeMeta
	metav1.ListMeta `json:"metadata"`
	Items           []Raw `json:"items"`
}

// DeepCopyObject copies it.
func (l *RawList) DeepCopyObject() runtime.Object {
	out := *l
	out.Items = make([]Raw, len(l.Items))
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*Raw) //nolint:forcetypeassert // it is one
	}
	return &out
}

// RawClient reads and writes objects of one kind.
type RawClient struct {
	client   rest.Interface
	resource string
}

// NewRawClient makes one.
func NewRawClient(config *rest.Config, kind schema.GroupVersionResource) (*RawClient, error) {
	c := rest.CopyConfig(config)
	group := kind.GroupVersion()
	c.GroupVersion, c.APIPath = &group, "/apis"
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	c.NegotiatedSerializer = runtime.NewSimpleNegotiatedSerializer(runtime.SerializerInfo{
		MediaType: runtime.ContentTypeJSON, MediaTypeType: "application", MediaTypeSubType: "json", EncodesAsText: true, Serializer: rawCodec{},
		StreamSerializer: &runtime.StreamSerializerInfo{EncodesAsText: true, Serializer: rawCodec{}, Framer: serializerjson.Framer},
	})
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, err //nolint:wrapcheck // of one caller, who says what it is for
	}
	return &RawClient{client: client, resource: kind.Resource}, nil
}

// RawNamespace are those of a namespace; of "" all.
type RawNamespace struct {
	client    *RawClient
	namespace string
}

// Namespace chooses one.
func (c *RawClient) Namespace(namespace string) RawNamespace { return RawNamespace{c, namespace} }

// listVersion is that of a list's options.
var listVersion = schema.GroupVersion{Version: "v1"}

// List lists them.
func (n RawNamespace) List(ctx context.Context, o metav1.ListOptions) (*RawList, error) {
	list := &RawList{}
	err := n.client.client.Get().NamespaceIfScoped(n.namespace, n.namespace != "").Resource(n.client.resource).
		SpecificallyVersionedParams(&o, scheme.ParameterCodec, listVersion).Do(ctx).Into(list)
	return list, err //nolint:wrapcheck // the callers read it
}

// Watch watches them.
func (n RawNamespace) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	return n.client.client.Get().NamespaceIfScoped(n.namespace, n.namespace != "").Resource(n.client.resource). //nolint:wrapcheck // likewise
															SpecificallyVersionedParams(&o, scheme.ParameterCodec, listVersion).Watch(ctx)
}

// Get reads one.
func (n RawNamespace) Get(ctx context.Context, name string) (*Raw, error) {
	out := &Raw{}
	err := n.client.client.Get().Namespace(n.namespace).Resource(n.client.resource).Name(name).Do(ctx).Into(out)
	return out, err //nolint:wrapcheck // likewise
}

// PatchStatus changes the status of one, by a JSON merge patch.
func (n RawNamespace) PatchStatus(ctx context.Context, name string, patch []byte) (*Raw, error) {
	out := &Raw{}
	err := n.client.client.Patch(types.MergePatchType).Namespace(n.namespace).Resource(n.client.resource).Name(name).SubResource("status").
		Body(patch).Do(ctx).Into(out)
	return out, err //nolint:wrapcheck // likewise
}

// rawCodec reads what the API server answers where Raw is asked for.
type rawCodec struct{}

var _ runtime.Serializer = rawCodec{}

const rawIdentifier runtime.Identifier = "raw"

var errEncode = errors.New("objects that are left as they came are read, and not written")

// Encode is not needed: what is written is JSON already.
func (rawCodec) Encode(runtime.Object, io.Writer) error { return errEncode }

// Identifier names it.
func (rawCodec) Identifier() runtime.Identifier { return rawIdentifier }

// Decode reads an event of a watch, a list or an object into what is given; without that an object, or what
// the API server says in its place.
func (rawCodec) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	switch into := into.(type) {
	case *metav1.WatchEvent:
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := json.Unmarshal(data, &event); err != nil {
			return nil, nil, err //nolint:wrapcheck // the caller says what it decoded
		}
		into.Type, into.Object.Raw = event.Type, event.Object
		return into, nil, nil
	case *RawList:
		return read(data, into, &into.TypeMeta)
	case *Raw:
		return read(data, into, &into.TypeMeta)
	}
	one := &Raw{}
	return read(data, one, &one.TypeMeta)
}

// read reads an object. It may be a Status all the same: then the API server refuses, or ends a watch.
func read(data []byte, into runtime.Object, kind *metav1.TypeMeta) (runtime.Object, *schema.GroupVersionKind, error) {
	err := json.Unmarshal(data, into)
	if kind.Kind == "Status" && kind.APIVersion == "v1" {
		said := &metav1.Status{}
		into, err = said, json.Unmarshal(data, said)
	}
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // likewise
	}
	is := kind.GroupVersionKind()
	return into, &is, nil
}
