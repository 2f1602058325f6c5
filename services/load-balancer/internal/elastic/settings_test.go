package elastic

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
)

// declared are the settings of a command line.
func declared(t *testing.T, args ...string) Settings {
	t.Helper()
	var s Settings
	set := settings.New("test", "NEMESIS_", io.Discard)
	s.Declare(set)
	if err := set.Load(args, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSettings_AreNoneByDefault(t *testing.T) {
	s := declared(t)
	if s.Wanted() || s.Validate() != nil || s.Namespace != "default" {
		t.Errorf("%+v %v", s, s.Validate())
	}
}

func TestSettings_NameSeveralNodesAndAnotherReader(t *testing.T) {
	s := declared(t, "-elasticsearch-url", "https://a:9200, https://b:9200,", "-elasticsearch-username", "w", "-elasticsearch-password-file", "/w", "-elasticsearch-read-api-key-file", "/r")
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	if o := s.Options(); !slices.Equal(o.URLs, []string{"https://a:9200", "https://b:9200"}) || o.Username != "w" || o.APIKeyFile != "" {
		t.Errorf("who writes: %+v", o)
	}
	if o := s.ReadOptions(); len(o.URLs) != 2 || o.Username != "" || o.PasswordFile != "" || o.APIKeyFile != "/r" {
		t.Errorf("who reads: %+v", o)
	}
	if s := declared(t, "-elasticsearch-url", "https://a", "-elasticsearch-api-key-file", "/k"); s.ReadOptions().APIKeyFile != "/k" {
		t.Error("who writes does not read")
	}
}

func TestSettings_NameEveryFault(t *testing.T) {
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"-elasticsearch-username", "u", "-elasticsearch-ca-file", "/c", "-elasticsearch-read-api-key-file", "/k"}, []string{"elasticsearch-username: is not allowed without", "elasticsearch-ca-file", "elasticsearch-read-api-key-file"}},
		{[]string{"-elasticsearch-namespace", "UPPER"}, []string{"elasticsearch-namespace"}},
		{[]string{"-elasticsearch-url", "x", "-elasticsearch-namespace", "a-b"}, []string{"elasticsearch-url", "elasticsearch-namespace"}},
		{[]string{"-elasticsearch-url", "http://x", "-elasticsearch-read-username", "r"}, []string{"elasticsearch-read-username"}},
		{[]string{"-elasticsearch-url", "http://x", "-elasticsearch-read-username", "r", "-elasticsearch-read-password-file", "/p", "-elasticsearch-read-api-key-file", "/k"}, []string{"elasticsearch-read-username"}},
	} {
		err := declared(t, test.args...).Validate()
		if err == nil {
			t.Errorf("%v is taken", test.args)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v lacks %s", test.args, err, want)
			}
		}
	}
}
