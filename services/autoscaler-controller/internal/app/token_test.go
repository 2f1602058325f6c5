package app

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/identity"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/access"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/guard"
)

// issuer signs tokens as an API server does, and publishes its key.
type issuer struct{ key *rsa.PrivateKey }

func newIssuer(tb testing.TB) *issuer {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return &issuer{key}
}

var unpadded = base64.RawURLEncoding

// token is that of a pod, as the kubelet hands it out.
func (i *issuer) token(tb testing.TB, namespace, account, pod string) string {
	tb.Helper()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://kubernetes.default.svc.cluster.local", "aud": []string{"nemesis"}, "sub": "system:serviceaccount:" + namespace + ":" + account, "exp": time.Now().Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{"namespace": namespace, "pod": map[string]any{"name": pod, "uid": "u"}, "serviceaccount": map[string]any{"name": account, "uid": "s"}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	text := unpadded.EncodeToString([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + unpadded.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, i.key, crypto.SHA256, sum[:])
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + unpadded.EncodeToString(signature)
}

func (i *issuer) published(context.Context) (identity.Published, error) {
	return identity.Published{Issuer: "https://kubernetes.default.svc.cluster.local", JWKS: fmt.Appendf(nil, `{"keys":[{"kty":"RSA","kid":"k","use":"sig","n":%q,"e":%q}]}`,
		unpadded.EncodeToString(i.key.N.Bytes()), unpadded.EncodeToString(big.NewInt(int64(i.key.E)).Bytes()))}, nil
}

// guard judges by the issuer's keys alone: there are no people.
func (i *issuer) guard(tb testing.TB) *guard.Guard {
	tb.Helper()
	services := identity.NewVerifier(identity.Options{Keys: identity.NewKeys(i.published, slog.New(slog.DiscardHandler)), Known: knownTokens})
	return guard.New(guard.Options{Services: services, Collectors: []access.Account{{Namespace: "nemesis-system", Name: "metrics-collector"}}})
}
