package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/tokens"
)

// algorithm is how tokens are signed; most clusters use RS256.
type algorithm string

const (
	none  algorithm = ""
	rs256 algorithm = "RS256"
	es256 algorithm = "ES256"
)

const (
	issuerURL = "https://kubernetes.default.svc.cluster.local"
	collector = "nemesis-system/metrics-collector"
	// often is how many tokens a pod has where none shall be seen again before it is forgotten: together
	// half as many again as the controller remembers.
	often = 3
)

// issuer signs the tokens of pods as a Kubernetes does, and publishes its keys. It is all that there is of
// an API server.
type issuer struct {
	rsa     *rsa.PrivateKey
	ecdsa   *ecdsa.PrivateKey
	address string
	server  *http.Server

	made       map[algorithm][]string
	collectors map[algorithm]string
}

func newIssuer() (*issuer, error) {
	var i issuer
	var err error
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, err
	}
	if i.ecdsa, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i.address, i.made, i.collectors = listener.Addr().String(), map[algorithm][]string{}, map[algorithm]string{}
	i.server = &http.Server{Handler: i.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = i.server.Serve(listener) }() // until close
	return &i, nil
}

func (i *issuer) close() { _ = i.server.Close() }

// handler publishes the keys and the issuer's name; there is nothing else.
func (i *issuer) handler() http.Handler {
	mux := http.NewServeMux()
	answer := func(path string, document any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(document)
		})
	}
	point, err := i.ecdsa.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err) // a curve of ours
	}
	answer("/openid/v1/jwks", map[string]any{"keys": []map[string]string{
		{
			"kty": "RSA", "use": "sig", "alg": string(rs256), "kid": string(rs256),
			"n": encode(i.rsa.N.Bytes()), "e": encode(big.NewInt(int64(i.rsa.E)).Bytes()),
		},
		{
			"kty": "EC", "crv": "P-256", "use": "sig", "alg": string(es256), "kid": string(es256),
			"x": encode(point[1:33]), "y": encode(point[33:]),
		},
	}})
	answer("/.well-known/openid-configuration", map[string]any{
		"issuer": issuerURL, "jwks_uri": "https://127.0.0.1/openid/v1/jwks", "response_types_supported": []string{"id_token"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []algorithm{rs256, es256},
	})
	return mux
}

// prepare signs what a scenario needs, before anything is measured.
func (i *issuer) prepare(s scenario) error {
	if s.tokens == none {
		return nil
	}
	wanted := pods
	if s.first {
		wanted = often * pods
	}
	if err := i.fill(s.tokens, wanted); err != nil {
		return err
	}
	if i.collectors[s.tokens] != "" {
		return nil
	}
	namespace, account, _ := strings.Cut(collector, "/")
	token, err := i.sign(s.tokens, namespace, account, account+"-x2x4k", 0)
	i.collectors[s.tokens] = token
	return err
}

// fill signs up to so many tokens of pods, side by side: it takes longer than a measurement.
func (i *issuer) fill(a algorithm, wanted int) error {
	begin := len(i.made[a])
	if begin >= wanted {
		return nil
	}
	i.made[a] = append(i.made[a], make([]string, wanted-begin)...)
	var work sync.WaitGroup
	signers := runtime.GOMAXPROCS(0)
	faults := make([]error, signers)
	for s := range signers {
		work.Go(func() {
			for n := begin + s; n < wanted && faults[s] == nil; n += signers {
				i.made[a][n], faults[s] = i.ofPod(a, n)
			}
		})
	}
	work.Wait()
	return errors.Join(faults...)
}

// ofPod is the n/pods-th token of the pod n%pods.
func (i *issuer) ofPod(a algorithm, n int) (string, error) {
	return i.sign(a, namespaceOf(n%pods), "default", nameOf(n%pods), n)
}

// tokens are those of all pods, so many of each: the n-th of pod p stands at n*pods+p.
func (i *issuer) tokens(a algorithm, times int) []string { return i.made[a][:times*pods] }

// sign makes a token as the kubelet hands it to a pod.
func (i *issuer) sign(a algorithm, namespace, account, pod string, id int) (string, error) {
	signer := tokens.Signer{Issuer: issuerURL, KeyID: string(a), Key: i.ecdsa}
	if a == rs256 {
		signer.Key = i.rsa
	}
	return signer.Sign(tokens.Bearer{
		Namespace: namespace, Account: account, Pod: pod, Node: "node-1",
		UID: fmt.Sprintf("7c9e6679-7425-40de-944b-%012d", id%pods), ID: fmt.Sprintf("3f0a1f2e-8f53-4b0c-9f4e-%012d", id),
	})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func namespaceOf(pod int) string { return fmt.Sprintf("team-%d", pod%50) }

func nameOf(pod int) string { return fmt.Sprintf("web-7d4b9c-%05d", pod) }
