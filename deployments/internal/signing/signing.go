// Package signing signs what a registry holds, and checks it, in cosign's format: a signature is a layer
// of the image sha256-….sig beside the one that it is of, an attestation one of sha256-….att. It makes no
// keys, and speaks to the registry alone: no transparency log, no certificate authority.
package signing

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

const (
	payloadType = "application/vnd.dev.cosign.simplesigning.v1+json"
	annotation  = "dev.cosignproject.cosign/signature"
	// largest is more than any payload of ours, in bytes: what is larger is not read.
	largest = 4 << 20
	// most of the signatures beside an image that are looked at.
	most = 100
)

// ErrNone means that nothing signed by this key is there.
var ErrNone = errors.New("no signature of this key")

// Signer reads a private key: one of cosign's (with its password) or any in PEM, unencrypted.
func Signer(pem []byte, password string) (signature.SignerVerifier, error) {
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(pem, cryptoutils.StaticPasswordFunc([]byte(password)))
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return signature.LoadSignerVerifier(key, crypto.SHA256)
}

// Verifier reads a public key in PEM.
func Verifier(pem []byte) (signature.Verifier, error) {
	key, err := cryptoutils.UnmarshalPEMToPublicKey(pem)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return signature.LoadVerifier(key, crypto.SHA256)
}

// Sign signs the manifest of this digest. What the key has signed already is left as it is; signatures of
// others stay.
func Sign(ctx context.Context, subject name.Digest, key signature.SignerVerifier) error {
	if err := Verify(ctx, subject, key); !errors.Is(err, ErrNone) {
		return err
	}
	said, err := json.Marshal(payload.Cosign{Image: subject})
	if err != nil {
		return fmt.Errorf("payload for %s: %w", subject, err)
	}
	signed, err := key.SignMessage(bytes.NewReader(said))
	if err != nil {
		return fmt.Errorf("signature of %s: %w", subject, err)
	}
	return add(ctx, beside(subject, "sig"), mutate.Addendum{
		Layer:       static.NewLayer(said, payloadType),
		Annotations: map[string]string{annotation: base64.StdEncoding.EncodeToString(signed)},
	})
}

// Verify finds a signature of the manifest by this key: ErrNone when there is none.
func Verify(ctx context.Context, subject name.Digest, key signature.Verifier) error {
	found := false
	err := each(ctx, beside(subject, "sig"), payloadType, func(said []byte, notes map[string]string) {
		signed, err := base64.StdEncoding.DecodeString(notes[annotation])
		if err != nil || key.VerifySignature(bytes.NewReader(signed), bytes.NewReader(said)) != nil {
			return
		}
		var p payload.SimpleContainerImage
		found = found || json.Unmarshal(said, &p) == nil && p.Critical.Type == payload.CosignSignatureType &&
			p.Critical.Image.DockerManifestDigest == subject.DigestStr() && p.Critical.Identity.DockerReference == subject.Context().Name()
	})
	if err == nil && !found {
		err = ErrNone
	}
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	return nil
}

// beside is where what is signed of this digest is kept.
func beside(subject name.Digest, kind string) name.Tag {
	return subject.Context().Tag(strings.Replace(subject.DigestStr(), ":", "-", 1) + "." + kind)
}

func options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}

// stored is the image of signatures under this tag, an empty one when there is none.
func stored(ctx context.Context, tag name.Tag) (v1.Image, error) {
	img, err := remote.Image(tag, options(ctx)...)
	var refused *transport.Error
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
		return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), nil
	}
	return img, err
}

func add(ctx context.Context, tag name.Tag, layer mutate.Addendum) error {
	img, err := stored(ctx, tag)
	if err != nil {
		return fmt.Errorf("%s: %w", tag, err)
	}
	if img, err = mutate.Append(img, layer); err != nil {
		return fmt.Errorf("%s: %w", tag, err)
	}
	if err := remote.Write(tag, img, options(ctx)...); err != nil {
		return fmt.Errorf("push of %s: %w", tag, err)
	}
	return nil
}

// each gives what is signed under this tag. What is too large or of another type is left out: it is
// nothing of ours.
func each(ctx context.Context, tag name.Tag, kind types.MediaType, give func(content []byte, notes map[string]string)) error {
	img, err := stored(ctx, tag)
	if err != nil {
		return err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	for _, described := range manifest.Layers[:min(len(manifest.Layers), most)] {
		if described.MediaType != kind || described.Size > largest {
			continue
		}
		content, err := read(img, described.Digest)
		if err != nil {
			return err
		}
		give(content, described.Annotations)
	}
	return nil
}

// read gives a layer as it was pushed; its digest is checked on the way.
func read(img v1.Image, digest v1.Hash) ([]byte, error) {
	layer, err := img.LayerByDigest(digest)
	if err != nil {
		return nil, err
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(content)
}
