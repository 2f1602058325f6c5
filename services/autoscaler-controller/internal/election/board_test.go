package election

import (
	"context"
	"errors"
	"strconv"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// board is the API server's Leases of one namespace: what is written must be of the version that was read.
type board struct {
	mu      sync.Mutex
	leases  map[string]*coordinationv1.Lease
	version int
}

func newBoard() *board { return &board{leases: map[string]*coordinationv1.Lease{}} }

var leaseResource = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

func (b *board) get(name string) *coordinationv1.Lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o, ok := b.leases[name]; ok {
		return o.DeepCopy()
	}
	return nil
}

func (b *board) put(o *coordinationv1.Lease) *coordinationv1.Lease {
	b.version++
	o = o.DeepCopy()
	o.ResourceVersion = strconv.Itoa(b.version)
	b.leases[o.Name] = o
	return o.DeepCopy()
}

// client is one replica's connection to the board, which can be cut.
type client struct {
	typedcoordinationv1.LeaseInterface
	kubernetes.Interface
	typedcoordinationv1.CoordinationV1Interface
	board *board
	mu    sync.Mutex
	away  bool
}

func (b *board) client() *client { return &client{board: b} }

func (c *client) clients() *kube.Clients { return &kube.Clients{Typed: c} }

func (c *client) CoordinationV1() typedcoordinationv1.CoordinationV1Interface { return c }
func (c *client) Leases(string) typedcoordinationv1.LeaseInterface            { return c }

// cut has every call fail, or work again.
func (c *client) cut(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

var errAway = errors.New("the API server is away")

func (c *client) gone(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return errAway
	}
	return ctx.Err()
}

func (c *client) Get(ctx context.Context, name string, _ metav1.GetOptions) (*coordinationv1.Lease, error) {
	if err := c.gone(ctx); err != nil {
		return nil, err
	}
	if o := c.board.get(name); o != nil {
		return o, nil
	}
	return nil, apierrors.NewNotFound(leaseResource, name)
}

func (c *client) List(ctx context.Context, _ metav1.ListOptions) (*coordinationv1.LeaseList, error) {
	if err := c.gone(ctx); err != nil {
		return nil, err
	}
	c.board.mu.Lock()
	defer c.board.mu.Unlock()
	list := &coordinationv1.LeaseList{}
	for _, o := range c.board.leases {
		list.Items = append(list.Items, *o.DeepCopy())
	}
	return list, nil
}

func (c *client) Create(ctx context.Context, o *coordinationv1.Lease, _ metav1.CreateOptions) (*coordinationv1.Lease, error) {
	if err := c.gone(ctx); err != nil {
		return nil, err
	}
	c.board.mu.Lock()
	defer c.board.mu.Unlock()
	if _, there := c.board.leases[o.Name]; there {
		return nil, apierrors.NewAlreadyExists(leaseResource, o.Name)
	}
	return c.board.put(o), nil
}

func (c *client) Update(ctx context.Context, o *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	if err := c.gone(ctx); err != nil {
		return nil, err
	}
	c.board.mu.Lock()
	defer c.board.mu.Unlock()
	switch before, there := c.board.leases[o.Name]; {
	case !there:
		return nil, apierrors.NewNotFound(leaseResource, o.Name)
	case before.ResourceVersion != o.ResourceVersion:
		return nil, apierrors.NewConflict(leaseResource, o.Name, errors.New("the object has been modified"))
	}
	return c.board.put(o), nil
}
