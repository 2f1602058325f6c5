package command

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/nemesis-scaling/nemesis/cli/internal/check"
	"github.com/nemesis-scaling/nemesis/cli/internal/client"
	"github.com/nemesis-scaling/nemesis/gen/common"
)

// answerLimit bounds what is read of one answer of the API server.
const answerLimit = 32 << 20

// facts gathers what check looks at. What cannot be seen is a fact too.
func (t *tool) facts(ctx context.Context) check.Facts {
	f := check.Facts{Now: t.Now(), System: t.nemesis.System()}
	before := t.Now()
	_, at, err := t.nemesis.Raw(ctx, "/apis/autoscaler-group.autoscaler/v1alpha1", answerLimit)
	f.Resource = err
	if !at.IsZero() {
		f.Clocks = append(f.Clocks, check.Clock{Whose: "the Kubernetes API server", At: at, Before: before, Between: t.Now().Add(time.Second)}) // it says whole seconds
	}
	health, err := t.nemesis.Health(ctx)
	f.Controller = serviceOf(health, err)
	t.balancerFacts(ctx, &f)
	f.Pods, f.PodsErr = t.podFacts(ctx)
	f.Leases, f.LeasesErr = t.leaseFacts(ctx)
	f.Authority, f.AuthorityErr = t.authorityFacts(ctx)
	f.Rights, f.OneNamespace, f.RightsErr = t.rightsFacts(ctx, f.Pods)
	var policies struct{ Items []json.RawMessage }
	f.PoliciesErr = t.read(ctx, t.ofSystem("/apis/networking.k8s.io/v1", "networkpolicies"), &policies)
	f.Policies = len(policies.Items)
	apps, refused, err := t.nemesis.Claimed(ctx, "", "")
	f.ApplicationsErr = err
	for _, c := range refused {
		f.Refused = append(f.Refused, c.Namespace+"/"+c.Deployment+": "+claimRefused(c))
	}
	for _, a := range apps {
		one := check.Application{Name: client.Of(a).String(), Troubles: troubles(a, t.Now())}
		for _, b := range a.Traffic.Balancers {
			one.Reports = append(one.Reports, check.Report{Balancer: b.Name, Age: time.Duration(b.AgeSeconds * float64(time.Second))})
		}
		f.Applications = append(f.Applications, one)
	}
	return f
}

// ofSystem is the path of something in the namespace where Nemesis runs.
func (t *tool) ofSystem(api, what string) string {
	return api + "/namespaces/" + t.nemesis.System() + "/" + what
}

// read reads an object of the API server.
func (t *tool) read(ctx context.Context, path string, into any) error {
	body, _, err := t.nemesis.Raw(ctx, path, answerLimit)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

func serviceOf(h common.Health, err error) check.Service {
	s := check.Service{Err: err, Ready: h.Status == common.Ok, Waiting: value(h.WaitingFor), Troubles: value(h.Trouble)}
	for _, c := range value(h.Certificates) {
		s.Certificates = append(s.Certificates, check.Certificate{Name: c.Use, From: c.Begins, Until: c.Ends})
	}
	return s
}

// errPart says that a part was seen.
var errPart = errors.New("you may not list the load balancers' pods: the one that the Service leads to was asked")

func (t *tool) balancerFacts(ctx context.Context, f *check.Facts) {
	all, whole, err := t.nemesis.Balancers(ctx)
	if f.BalancersErr = err; err == nil && !whole {
		f.BalancersErr = errPart
	}
	for _, b := range all {
		health, err := b.Health(ctx)
		one := check.Balancer{Service: serviceOf(health, err), Name: b.Name}
		state, err := b.State(ctx, client.Name{})
		if one.StateErr = err; err == nil {
			one.Name, one.Connected, one.LastError, one.Draining = cmp.Or(b.Name, state.Balancer), state.Controller.Connected, value(state.Controller.LastError), value(state.Draining)
			one.Age = time.Duration(value(state.Controller.AgeSeconds) * float64(time.Second))
			one.Settings = fmt.Sprintf("policy %s, max_connections %d, timeout_seconds %d", value(state.Settings.Policy), value(state.Settings.MaxConnections), value(state.Settings.TimeoutSeconds))
			if state.Log != nil {
				for _, trouble := range state.Log.Trouble {
					one.Log = append(one.Log, trouble.Kind+": "+trouble.Message)
				}
				one.Behind, one.Oldest = state.Log.WaitingRecords, time.Duration(value(state.Log.WaitingSeconds)*float64(time.Second))
			}
		}
		before := t.Now()
		if list, err := b.Waiting(ctx, client.Name{}, 1); err == nil {
			f.Clocks = append(f.Clocks, check.Clock{Whose: one.Name, At: list.At, Before: before, Between: t.Now()})
		}
		f.Balancers = append(f.Balancers, one)
	}
}

func (t *tool) podFacts(ctx context.Context) ([]check.Pod, error) {
	var list corev1.PodList
	if err := t.read(ctx, t.ofSystem("/api/v1", "pods?labelSelector=app.kubernetes.io%2Fpart-of%3Dnemesis"), &list); err != nil {
		return nil, err
	}
	var all []check.Pod
	for _, p := range list.Items {
		if p.Status.Phase == corev1.PodSucceeded || p.DeletionTimestamp != nil {
			continue
		}
		one := check.Pod{Name: p.Name, Account: p.Spec.ServiceAccountName, Service: p.Labels["app.kubernetes.io/name"], Why: p.Status.Message, Ready: slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})}
		for _, s := range p.Status.ContainerStatuses {
			one.Restarts += s.RestartCount
			if s.State.Waiting != nil {
				one.Why = strings.TrimSpace(s.State.Waiting.Reason + " " + s.State.Waiting.Message)
			}
		}
		if len(p.Spec.Containers) > 0 {
			one.Version = tag(p.Spec.Containers[0].Image)
		}
		all = append(all, one)
	}
	return all, nil
}

// questions is how many are asked at a time.
const questions = 8

// rightsFacts asks the API server what the controller may. Where it may not in all namespaces, what it may in its own counts, if that
// holds for what it scales, as in an installation in one namespace.
func (t *tool) rightsFacts(ctx context.Context, pods []check.Pod) (rights []check.Right, oneNamespace bool, err error) {
	account := leaderLease // its service account has that name, too, unless somebody gave it another one
	for _, p := range pods {
		if p.Service == leaderLease && p.Account != "" {
			account = p.Account
		}
	}
	rights = check.ControllerRights()
	if err := t.ask(ctx, account, rights, false); err != nil {
		return nil, false, err
	}
	scale := slices.IndexFunc(rights, func(r check.Right) bool { return r.Subresource == "scale" && r.Verb == "patch" })
	if rights[scale].Allowed {
		return rights, false, nil
	}
	within := slices.Clone(rights)
	if err := t.ask(ctx, account, within, true); err != nil {
		return nil, false, err
	}
	if !within[scale].Allowed {
		return rights, false, nil
	}
	return within, true, nil
}

// ask has the API server judge each, within the namespace where Nemesis runs or, but for those that are for it alone, in all.
func (t *tool) ask(ctx context.Context, account string, rights []check.Right, within bool) error {
	system := t.nemesis.System()
	faults := make([]error, len(rights))
	var all sync.WaitGroup
	places := make(chan struct{}, questions)
	for i := range rights {
		r := &rights[i]
		attributes := authorizationv1.ResourceAttributes{Group: r.Group, Resource: r.Resource, Subresource: r.Subresource, Verb: r.Verb, Name: r.Name}
		if r.System || within {
			attributes.Namespace = system
		}
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			r.Allowed, faults[i] = t.nemesis.Allowed(ctx, authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:" + system + ":" + account, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + system, "system:authenticated"},
				ResourceAttributes: &attributes,
			})
		})
	}
	all.Wait()
	return cmp.Or(faults...)
}

// tag is the version in an image's name; "" where there is none.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndex(image, "/")+1:]
	_, version, _ := strings.Cut(name, ":")
	return version
}

const leaderLease = "autoscaler-controller"

func (t *tool) leaseFacts(ctx context.Context) ([]check.Lease, error) {
	var list coordinationv1.LeaseList
	if err := t.read(ctx, t.ofSystem("/apis/coordination.k8s.io/v1", "leases"), &list); err != nil {
		return nil, err
	}
	var one, shards []check.Lease
	for _, l := range list.Items {
		lease := check.Lease{Name: l.Name, Holder: value(l.Spec.HolderIdentity), Lasts: time.Duration(value(l.Spec.LeaseDurationSeconds)) * time.Second}
		if l.Spec.RenewTime != nil {
			lease.Renewed = l.Spec.RenewTime.Time
		}
		switch {
		case l.Name == leaderLease:
			one = append(one, lease)
		case strings.HasPrefix(l.Name, leaderLease+"-") && lease.Holder != "":
			shards = append(shards, lease)
		}
	}
	if len(shards) > 0 { // then the one without a number says how many there are
		return shards, nil
	}
	return one, nil
}

func (t *tool) authorityFacts(ctx context.Context) ([]check.Certificate, error) {
	var published corev1.ConfigMap
	if err := t.read(ctx, t.ofSystem("/api/v1", "configmaps/nemesis-ca"), &published); err != nil {
		return nil, err
	}
	var all []check.Certificate
	for rest := []byte(published.Data["ca.crt"]); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all, nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return all, fmt.Errorf("the ConfigMap nemesis-ca: %w", err)
		}
		all = append(all, check.Certificate{Name: c.Subject.CommonName, From: c.NotBefore, Until: c.NotAfter})
	}
}
