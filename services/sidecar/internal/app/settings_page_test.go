package app_test

import (
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testsettings"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/app"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/app/batching"
)

func TestSettings_AreThoseOfTheManual(t *testing.T) {
	var out strings.Builder
	_, _ = app.Load([]string{"-help"}, nil, &out) // it ends with flag.ErrHelp
	_, _ = batching.Load([]string{"-help"}, nil, &out)
	testsettings.Documented(t, "../../README.md", out.String())
}
