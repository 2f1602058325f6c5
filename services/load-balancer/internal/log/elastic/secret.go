package elastic

import (
	"errors"
	"os"
	"path/filepath"
)

// secret is a file that is being written, seen under its name only when it is whole.
type secret struct {
	file *os.File
	path string
}

func newSecret(path string) (*secret, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // which only its owner may read
	if err != nil {
		return nil, err
	}
	return &secret{file: f, path: path}, nil
}

func (s *secret) keep(text string) error {
	_, err := s.file.WriteString(text + "\n")
	if err = errors.Join(err, s.file.Sync(), s.file.Close()); err != nil {
		return err
	}
	return os.Rename(s.file.Name(), s.path)
}

// discard removes what was not kept.
func (s *secret) discard() {
	_ = s.file.Close()
	_ = os.Remove(s.file.Name())
}
