package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/nemesis-scaling/nemesis/deployments/internal/signing"
)

// keyPEM is the key in a file, or in the environment under the name that cosign uses.
func keyPEM(file, variable string) ([]byte, error) {
	if file != "" {
		return os.ReadFile(file) //nolint:gosec // the caller names it
	}
	if pem := os.Getenv(variable); pem != "" {
		return []byte(pem), nil
	}
	return nil, fmt.Errorf("no key is given: name its file with -key, or put it into %s", variable)
}

// signAll signs indexes, images and SBOMs, and attests how each index was made.
func signAll(ctx context.Context, digests, keyFile, builder string, names []string, stdout io.Writer) error {
	pem, err := keyPEM(keyFile, "COSIGN_PRIVATE_KEY")
	if err != nil {
		return err
	}
	key, err := signing.Signer(pem, os.Getenv("COSIGN_PASSWORD"))
	if err != nil {
		return err
	}
	images, all, err := wanted(digests, names)
	if err != nil {
		return err
	}
	for _, image := range images {
		made, err := contents(ctx, all[image])
		if err != nil {
			return err
		}
		predicate, err := provenance(image, builder, made)
		if err != nil {
			return err
		}
		for _, one := range made.all {
			if err := signing.Sign(ctx, one, key); err != nil {
				return err
			}
		}
		if err := signing.Attest(ctx, all[image], provenanceType, predicate, key); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%-22s signed %s, %d manifests, and how it was made\n", image, all[image], len(made.all))
	}
	return nil
}

// verifyAll checks all that signAll signs.
func verifyAll(ctx context.Context, digests, keyFile string, names []string, stdout io.Writer) error {
	pem, err := keyPEM(keyFile, "COSIGN_PUBLIC_KEY")
	if err != nil {
		return err
	}
	key, err := signing.Verifier(pem)
	if err != nil {
		return err
	}
	images, all, err := wanted(digests, names)
	if err != nil {
		return err
	}
	var faults []error
	for _, image := range images {
		made, err := contents(ctx, all[image])
		if err != nil {
			faults = append(faults, err)
			continue
		}
		found := make([]error, 0, len(made.all)+1)
		for _, one := range made.all {
			found = append(found, signing.Verify(ctx, one, key))
		}
		predicate, err := signing.Attested(ctx, all[image], provenanceType, key)
		found = append(found, err)
		if err := errors.Join(found...); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", image, err))
			continue
		}
		fmt.Fprintf(stdout, "%-22s verified %s, %d manifests, made from commit %s\n", image, all[image], len(made.all), commitOf(predicate))
	}
	return errors.Join(faults...)
}

// made is an index with what belongs to it.
type made struct {
	all               []name.Digest // the index, its images, and what is attached to these
	archs             []string
	version, revision string // that the images say of themselves
}

// contents looks at an index in its registry. An index of ours has a document on each image.
func contents(ctx context.Context, address name.Digest) (made, error) {
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	index, err := remote.Index(address, options...)
	if err != nil {
		return made{}, fmt.Errorf("%s: %w", address, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return made{}, fmt.Errorf("%s: %w", address, err)
	}
	m := made{all: []name.Digest{address}}
	for _, described := range manifest.Manifests {
		at := address.Context().Digest(described.Digest.String())
		img, err := index.Image(described.Digest)
		if err != nil {
			return made{}, fmt.Errorf("%s: %w", at, err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			return made{}, fmt.Errorf("%s: %w", at, err)
		}
		version, revision := config.Config.Labels["org.opencontainers.image.version"], config.Config.Labels["org.opencontainers.image.revision"]
		if m.archs != nil && (version != m.version || revision != m.revision) {
			return made{}, fmt.Errorf("%s: its images are of the commits %s and %s", address, m.revision, revision)
		}
		m.version, m.revision, m.archs = version, revision, append(m.archs, config.Architecture)
		referrers, err := remote.Referrers(at, options...)
		if err != nil {
			return made{}, fmt.Errorf("%s: %w", at, err)
		}
		attached, err := referrers.IndexManifest()
		if err != nil {
			return made{}, fmt.Errorf("%s: %w", at, err)
		}
		m.all = append(m.all, at)
		documents := 0
		for _, one := range attached.Manifests {
			if one.ArtifactType == documentType {
				m.all = append(m.all, address.Context().Digest(one.Digest.String()))
				documents++
			}
		}
		if documents != 1 {
			return made{}, fmt.Errorf("%s has %d SBOMs attached, want one", at, documents)
		}
	}
	if len(m.archs) == 0 {
		return made{}, fmt.Errorf("%s holds no image", address)
	}
	return m, nil
}
