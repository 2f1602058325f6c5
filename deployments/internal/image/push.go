package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Document is something that is said of an image, as its SBOM.
type Document struct {
	MediaType types.MediaType
	Content   []byte
}

// Platform is an image for one processor, and what is said of it.
type Platform struct {
	Spec
	Document Document
}

// Push pushes the images under the tag that all of their specifications name, as one index, with the
// credentials that Docker's configuration holds for the registry, and gives the index's address by digest.
// The document of each is attached to it (a referrer, as OCI 1.1 has it). The tag is written last: what it
// names is whole.
func Push(ctx context.Context, platforms []Platform) (string, error) {
	if len(platforms) == 0 {
		return "", errors.New("no image to push")
	}
	tag, err := name.NewTag(platforms[0].Tag)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", platforms[0].Tag, err)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		if p.Tag != platforms[0].Tag {
			return "", fmt.Errorf("the images of one index have the tags %q and %q", platforms[0].Tag, p.Tag)
		}
		img, err := build(p.Spec, gzipLayer)
		if err != nil {
			return "", err
		}
		img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
		described, err := partial.Descriptor(img)
		if err != nil {
			return "", fmt.Errorf("image %s: %w", p.Tag, err)
		}
		if err := remote.Write(tag.Context().Digest(described.Digest.String()), img, options(ctx)...); err != nil {
			return "", fmt.Errorf("push of %s for %s: %w", p.Tag, p.Arch, err)
		}
		if err := attach(ctx, tag.Context(), *described, p.Document); err != nil {
			return "", fmt.Errorf("document of %s for %s: %w", p.Tag, p.Arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.Arch}},
		})
	}
	if err := remote.WriteIndex(tag, index, options(ctx)...); err != nil {
		return "", fmt.Errorf("push of %s: %w", tag, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return "", fmt.Errorf("index %s: %w", tag, err)
	}
	return tag.Context().Digest(digest.String()).String(), nil
}

// attach pushes a document as a manifest whose subject is the image.
func attach(ctx context.Context, repository name.Repository, subject v1.Descriptor, document Document) error {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), document.MediaType)
	img, err := mutate.Append(img, mutate.Addendum{Layer: static.NewLayer(document.Content, document.MediaType)})
	if err != nil {
		return err
	}
	subject.Platform, subject.Annotations = nil, nil
	img, ok := mutate.Subject(img, subject).(v1.Image)
	if !ok {
		return errors.New("its manifest takes no subject")
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	return remote.Write(repository.Digest(digest.String()), img, options(ctx)...)
}

func options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}
