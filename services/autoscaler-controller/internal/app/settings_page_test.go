package app_test

import (
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/testsettings"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/app"
)

func TestSettings_AreThoseOfTheManual(t *testing.T) {
	var out strings.Builder
	_, _, _ = app.Load([]string{"-help"}, nil, &out) // it ends with flag.ErrHelp
	testsettings.Documented(t, "../../README.md", out.String())
}
