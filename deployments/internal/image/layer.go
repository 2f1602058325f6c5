package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// gzipLayer is for registries.
func gzipLayer(files map[string]string) (v1.Layer, error) {
	return tarball.LayerFromOpener(opener(files), tarball.WithMediaType(types.OCILayer))
}

// plainLayer is for archives that stay on this machine: packing and unpacking would take longer than
// anything else.
func plainLayer(files map[string]string) (v1.Layer, error) {
	open := opener(files)
	content, err := open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	digest, size, err := v1.SHA256(content)
	if err != nil {
		return nil, err
	}
	return &layer{open: open, digest: digest, size: size}, nil
}

// layer is an uncompressed one; its files are read anew each time, so that no image is ever held in
// memory.
type layer struct {
	open   tarball.Opener
	digest v1.Hash
	size   int64
}

var _ v1.Layer = (*layer)(nil)

func (l *layer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l *layer) DiffID() (v1.Hash, error)             { return l.digest, nil }
func (l *layer) Compressed() (io.ReadCloser, error)   { return l.open() }
func (l *layer) Uncompressed() (io.ReadCloser, error) { return l.open() }
func (l *layer) Size() (int64, error)                 { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error)  { return types.DockerUncompressedLayer, nil }

// opener gives the layer's tar as a stream, as often as it is asked for.
func opener(files map[string]string) tarball.Opener {
	return func() (io.ReadCloser, error) {
		reader, writer := io.Pipe()
		go func() { writer.CloseWithError(writeTar(writer, files)) }()
		return reader, nil
	}
}

// writeTar writes parent folders and files in the order of their names.
func writeTar(out io.Writer, files map[string]string) error {
	archive := tar.NewWriter(out)
	made := map[string]bool{}
	for _, target := range slices.Sorted(maps.Keys(files)) {
		if !path.IsAbs(target) || path.Clean(target) != target {
			return fmt.Errorf("path %q in the image is not a clean absolute one", target)
		}
		if err := writeFolders(archive, path.Dir(target), made); err != nil {
			return err
		}
		if err := writeFile(archive, target, files[target]); err != nil {
			return err
		}
	}
	return archive.Close()
}

func writeFolders(archive *tar.Writer, folder string, made map[string]bool) error {
	if folder == "/" || made[folder] {
		return nil
	}
	if err := writeFolders(archive, path.Dir(folder), made); err != nil {
		return err
	}
	made[folder] = true
	return archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeDir, Name: strings.TrimPrefix(folder, "/") + "/", Mode: 0o755, ModTime: epoch,
	})
}

func writeFile(archive *tar.Writer, target, source string) error {
	file, err := os.Open(source) //nolint:gosec // the caller chooses what goes into its image
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", source)
	}
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(target, "/"), Mode: 0o755, Size: info.Size(), ModTime: epoch,
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(archive, file); err != nil {
		if errors.Is(err, tar.ErrWriteTooLong) {
			return fmt.Errorf("%s grew while it was read", source)
		}
		return err
	}
	return nil
}
