// Package tokens signs tokens of service accounts, as the kubelet hands them to pods.
package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// life is longer than any run.
const life = 6 * time.Hour

// Signer signs them, as the API server of a cluster does.
type Signer struct {
	Issuer, KeyID string
	Key           crypto.Signer // RSA, or ECDSA with P-256
}

// Bearer is the pod whose token it is.
type Bearer struct {
	Namespace, Account, Pod, UID string
	Node                         string // "": the token does not say
	ID                           string // of the token
}

// Sign makes a token.
func (s Signer) Sign(b Bearer) (string, error) {
	algorithm := "RS256"
	if _, ok := s.Key.(*ecdsa.PrivateKey); ok {
		algorithm = "ES256"
	}
	head, err := json.Marshal(map[string]string{"alg": algorithm, "kid": s.KeyID})
	if err != nil {
		return "", err
	}
	bound := map[string]any{
		"namespace": b.Namespace, "pod": map[string]string{"name": b.Pod, "uid": b.UID},
		"serviceaccount": map[string]string{"name": b.Account, "uid": "16fd2706-8baf-433b-82eb-8c7fada847da"},
	}
	if b.Node != "" {
		bound["node"] = map[string]string{"name": b.Node, "uid": "b2a1c9e0-51c5-4a6e-8f0d-2f5f0f8c8e11"}
	}
	now := time.Now()
	said, err := json.Marshal(map[string]any{
		"aud": []string{"nemesis"}, "iss": s.Issuer, "sub": "system:serviceaccount:" + b.Namespace + ":" + b.Account,
		"exp": now.Add(life).Unix(), "iat": now.Unix(), "nbf": now.Unix(), "jti": b.ID, "kubernetes.io": bound,
	})
	if err != nil {
		return "", err
	}
	text := encode(head) + "." + encode(said)
	signature, err := s.signature(sha256.Sum256([]byte(text)))
	return text + "." + encode(signature), err
}

func (s Signer) signature(sum [sha256.Size]byte) ([]byte, error) {
	switch key := s.Key.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			return nil, err
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	}
	return nil, fmt.Errorf("a key of the type %T signs no tokens", s.Key)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Book has the tokens of pods, each signed when it is first asked for. Any number of goroutines may use it at once.
type Book struct {
	signer Signer
	mu     sync.Mutex
	signed map[Bearer]string
}

// NewBook makes one, in which there is none yet.
func NewBook(s Signer) *Book { return &Book{signer: s, signed: map[Bearer]string{}} }

// Of is a pod's token.
func (b *Book) Of(who Bearer) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if token, ok := b.signed[who]; ok {
		return token, nil
	}
	token, err := b.signer.Sign(who)
	if err == nil {
		b.signed[who] = token
	}
	return token, err
}
