package signing_test

import (
	"crypto/elliptic"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/nemesis-scaling/nemesis/deployments/internal/signing"
)

const kind = "https://example.com/made/v1"

func newKey(t *testing.T) signature.SignerVerifier {
	t.Helper()
	secret, _, err := cryptoutils.GeneratePEMEncodedECDSAKeyPair(elliptic.P256(), cryptoutils.StaticPasswordFunc([]byte("a")))
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.Signer(secret, "a")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newRepository is one in a registry of its own, with a way to push something to it.
func newRepository(t *testing.T) (repository name.Repository, push func() name.Digest) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))))
	t.Cleanup(server.Close)
	repository, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/team/sample")
	if err != nil {
		t.Fatal(err)
	}
	return repository, func() name.Digest {
		img, err := random.Image(10, 1)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		at := repository.Digest(digest.String())
		if err := remote.Write(at, img); err != nil {
			t.Fatal(err)
		}
		return at
	}
}

func stored(t *testing.T, repository name.Repository, subject name.Digest, ending string) (v1.Image, *v1.Manifest) {
	t.Helper()
	img, err := remote.Image(repository.Tag(strings.Replace(subject.DigestStr(), ":", "-", 1) + ending))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return img, manifest
}

func TestSign_OncePerKeyAndOnlyThisManifest(t *testing.T) {
	repository, push := newRepository(t)
	first, second := push(), push()
	ours, theirs := newKey(t), newKey(t)
	for _, key := range []signature.SignerVerifier{ours, theirs, ours} {
		if err := signing.Sign(t.Context(), first, key); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []signature.SignerVerifier{ours, theirs} {
		if err := signing.Verify(t.Context(), first, key); err != nil {
			t.Error(err)
		}
	}
	if err := signing.Verify(t.Context(), second, ours); !errors.Is(err, signing.ErrNone) {
		t.Errorf("another image is taken for signed: %v", err)
	}
	if err := signing.Verify(t.Context(), first, newKey(t)); !errors.Is(err, signing.ErrNone) {
		t.Errorf("another key's signature is taken: %v", err)
	}
	_, manifest := stored(t, repository, first, ".sig")
	if len(manifest.Layers) != 2 {
		t.Errorf("%d signatures, want one of each key", len(manifest.Layers))
	}
	for _, layer := range manifest.Layers {
		if layer.MediaType != "application/vnd.dev.cosign.simplesigning.v1+json" || layer.Annotations["dev.cosignproject.cosign/signature"] == "" {
			t.Errorf("not as cosign has it: %+v", layer)
		}
	}
}

// A signature that is moved beside another image, under its tag, says nothing of that one.
func TestVerify_TakesNoSignatureOfAnotherManifest(t *testing.T) {
	repository, push := newRepository(t)
	signed, other := push(), push()
	key := newKey(t)
	if err := signing.Sign(t.Context(), signed, key); err != nil {
		t.Fatal(err)
	}
	if err := signing.Attest(t.Context(), signed, kind, predicate(t), key); err != nil {
		t.Fatal(err)
	}
	for _, ending := range []string{".sig", ".att"} {
		img, _ := stored(t, repository, signed, ending)
		if err := remote.Write(repository.Tag(strings.Replace(other.DigestStr(), ":", "-", 1)+ending), img); err != nil {
			t.Fatal(err)
		}
	}
	if err := signing.Verify(t.Context(), other, key); !errors.Is(err, signing.ErrNone) {
		t.Errorf("signature: %v", err)
	}
	if _, err := signing.Attested(t.Context(), other, kind, key); !errors.Is(err, signing.ErrNone) {
		t.Errorf("attestation: %v", err)
	}
}

func predicate(t *testing.T) *structpb.Struct {
	t.Helper()
	p, err := structpb.NewStruct(map[string]any{"by": "us"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAttest_IsFoundByKeyAndType(t *testing.T) {
	repository, push := newRepository(t)
	at, key := push(), newKey(t)
	for range 2 {
		if err := signing.Attest(t.Context(), at, kind, predicate(t), key); err != nil {
			t.Fatal(err)
		}
	}
	got, err := signing.Attested(t.Context(), at, kind, key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"by": "us"}, got.AsMap()); diff != "" {
		t.Errorf("predicate (-want +got):\n%s", diff)
	}
	if _, err := signing.Attested(t.Context(), at, "https://example.com/other", key); !errors.Is(err, signing.ErrNone) {
		t.Errorf("another type: %v", err)
	}
	if _, err := signing.Attested(t.Context(), at, kind, newKey(t)); !errors.Is(err, signing.ErrNone) {
		t.Errorf("another key: %v", err)
	}
	_, manifest := stored(t, repository, at, ".att")
	if len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != "application/vnd.dsse.envelope.v1+json" || manifest.Layers[0].Annotations["predicateType"] != kind {
		t.Errorf("not as cosign has it: %+v", manifest.Layers)
	}
	if err := signing.Attest(t.Context(), at, "", predicate(t), key); err == nil {
		t.Error("a statement without a type was signed")
	}
}

func TestKeys_BadOnesAreRefused(t *testing.T) {
	for _, pem := range []string{"", "key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"} {
		if _, err := signing.Signer([]byte(pem), ""); err == nil {
			t.Errorf("private key %q was taken", pem)
		}
		if _, err := signing.Verifier([]byte(pem)); err == nil {
			t.Errorf("public key %q was taken", pem)
		}
	}
}
