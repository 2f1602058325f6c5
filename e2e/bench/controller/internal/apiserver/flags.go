package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nemesis-scaling/nemesis/e2e/bench/internal/tokens"
)

func etcdFlags(dir string, port, peerPort int) []string {
	url, peer := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", peerPort)
	return []string{
		"--name=bench", "--data-dir=" + filepath.Join(dir, "etcd"),
		"--listen-client-urls=" + url, "--advertise-client-urls=" + url,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=bench=" + peer,
		"--unsafe-no-fsync", "--quota-backend-bytes=8589934592",
		"--auto-compaction-mode=revision", "--auto-compaction-retention=10000", "--log-level=warn",
	}
}

// issuer is the name in service accounts' tokens.
const issuer = "https://kubernetes.default.svc"

// serverFlags let one token do everything, and leave out what only kubelets and controllers need.
// Nobody is made to wait by the server's own fairness: what is measured is the controller.
func serverFlags(dir string, etcdPort, port int) []string {
	key := filepath.Join(dir, "service-account.key")
	return []string{
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		fmt.Sprintf("--secure-port=%d", port), "--cert-dir=" + filepath.Join(dir, "certificates"),
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", etcdPort), "--etcd-compaction-interval=0",
		"--service-cluster-ip-range=10.96.0.0/12",
		"--authorization-mode=AlwaysAllow", "--anonymous-auth=false", "--token-auth-file=" + filepath.Join(dir, "tokens.csv"),
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition,DefaultTolerationSeconds,RuntimeClass,Priority",
		"--enable-priority-and-fairness=false", "--max-requests-inflight=4000", "--max-mutating-requests-inflight=2000",
		"--profiling=false", "--event-ttl=10m",
		"--service-account-issuer=" + issuer, "--service-account-key-file=" + key, "--service-account-signing-key-file=" + key,
	}
}

// writeKeys writes what the server signs service accounts' tokens with, and the one token that is let in.
// It returns the signer, so that others can have tokens without a call for each.
func writeKeys(dir, token string) (tokens.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tokens.Signer{}, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return tokens.Signer{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return tokens.Signer{}, err
	}
	id := sha256.Sum256(public) // as the API server names its keys
	signer := tokens.Signer{Issuer: issuer, KeyID: base64.RawURLEncoding.EncodeToString(id[:]), Key: key}
	return signer, errors.Join(
		os.WriteFile(filepath.Join(dir, "service-account.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(token+",bench,bench,system:masters\n"), 0o600),
	)
}

func writeKubeconfig(path, url, token string, authority []byte) error {
	content := fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: bench
clusters: [{name: bench, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: bench, user: {token: %q}}]
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
`, url, base64.StdEncoding.EncodeToString(authority), token)
	return os.WriteFile(path, content, 0o600) //nolint:gosec // G703: a folder of the benchmark
}
