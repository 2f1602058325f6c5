package kubetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	typedcoordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/kube"
)

// Board is the API server's Leases of one namespace: what is written must be of the version that was read.
type Board struct {
	mu      sync.Mutex
	leases  map[string]*coordinationv1.Lease
	version int
}

// NewBoard makes an empty one.
func NewBoard() *Board { return &Board{leases: map[string]*coordinationv1.Lease{}} }

var leaseResource = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// Get is a Lease as it stands; nil: there is none.
func (b *Board) Get(name string) *coordinationv1.Lease {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o, ok := b.leases[name]; ok {
		return o.DeepCopy()
	}
	return nil
}

func (b *Board) put(o *coordinationv1.Lease) *coordinationv1.Lease {
	b.version++
	o = o.DeepCopy()
	o.ResourceVersion = strconv.Itoa(b.version)
	b.leases[o.Name] = o
	return o.DeepCopy()
}

// Client is one replica's connection to the board, which can be cut.
type Client struct {
	typedcoordinationv1.LeaseInterface
	kubernetes.Interface
	typedcoordinationv1.CoordinationV1Interface
	board *Board
	mu    sync.Mutex
	away  bool
	slow  time.Duration
}

// Client makes one.
func (b *Board) Client() *Client { return &Client{board: b} }

// Clients are those of the adapters.
func (c *Client) Clients() *kube.Clients { return &kube.Clients{Typed: c} }

// CoordinationV1 is the client of Leases.
func (c *Client) CoordinationV1() typedcoordinationv1.CoordinationV1Interface { return c }

// Leases is the same.
func (c *Client) Leases(string) typedcoordinationv1.LeaseInterface { return c }

// Cut has every call fail, or work again.
func (c *Client) Cut(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// Slow has every answer come so long after what was asked for was done.
func (c *Client) Slow(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slow = by
}

// answered waits for an answer, no longer than the caller does.
func (c *Client) answered(ctx context.Context) error {
	c.mu.Lock()
	by := c.slow
	c.mu.Unlock()
	if by == 0 {
		return nil
	}
	select {
	case <-time.After(by):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errAway = errors.New("the API server is away")

func (c *Client) gone(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return errAway
	}
	return ctx.Err()
}

// Get reads a Lease.
func (c *Client) Get(ctx context.Context, name string, _ metav1.GetOptions) (*coordinationv1.Lease, error) {
	if err := c.gone(ctx); err != nil {
		return nil, err
	}
	o := c.board.Get(name)
	if err := c.answered(ctx); err != nil {
		return nil, err
	}
	if o != nil {
		return o, nil
	}
	return nil, apierrors.NewNotFound(leaseResource, name)
}

// List lists them.
func (c *Client) List(ctx context.Context, _ metav1.ListOptions) (*coordinationv1.LeaseList, error) {
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

// Create makes one.
func (c *Client) Create(ctx context.Context, o *coordinationv1.Lease, _ metav1.CreateOptions) (*coordinationv1.Lease, error) {
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

// Update writes one.
func (c *Client) Update(ctx context.Context, o *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	if err := c.gone(ctx); err != nil {
		return nil, err
	}
	updated, err := c.update(o)
	if late := c.answered(ctx); late != nil {
		return nil, late
	}
	return updated, err
}

func (c *Client) update(o *coordinationv1.Lease) (*coordinationv1.Lease, error) {
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
