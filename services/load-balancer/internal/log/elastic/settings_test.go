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
		{[]string{"-elasticsearch-username", "u", "-elasticsearch-ca-file", "/c", "-elasticsearch-read-api-key-file", "/k"}, []string{`elasticsearch-username: "u" is not allowed without elasticsearch-url`, "elasticsearch-ca-file", "elasticsearch-read-api-key-file"}},
		{[]string{"-elasticsearch-namespace", "UPPER"}, []string{"elasticsearch-namespace"}},
		{[]string{"-elasticsearch-url", "x", "-elasticsearch-namespace", "a-b"}, []string{"elasticsearch-url", "elasticsearch-namespace"}},
		{[]string{"-elasticsearch-url", "http://x", "-elasticsearch-username", "w"}, []string{`elasticsearch-username: "w" is not allowed without elasticsearch-password-file`}},
		{[]string{"-elasticsearch-url", "http://x", "-elasticsearch-password-file", "/p"}, []string{`elasticsearch-password-file: "/p" is not allowed without elasticsearch-username`}},
		{[]string{"-elasticsearch-url", "http://x", "-elasticsearch-username", "w", "-elasticsearch-password-file", "/p", "-elasticsearch-api-key-file", "/k"}, []string{`elasticsearch-api-key-file: "/k" is not allowed beside elasticsearch-username`}},
		{[]string{"-elasticsearch-url", "http://x", "-elasticsearch-read-username", "r"}, []string{`elasticsearch-read-username: "r" is not allowed without elasticsearch-read-password-file`}},
		{[]string{"-elasticsearch-url", "http://x", "-elasticsearch-read-username", "r", "-elasticsearch-read-password-file", "/p", "-elasticsearch-read-api-key-file", "/k"}, []string{"elasticsearch-read-api-key-file: \"/k\" is not allowed beside elasticsearch-read-username"}},
		{[]string{"-elasticsearch-url", "http://x:99999"}, []string{`elasticsearch-url: "http://x:99999" is not allowed`}},
		{[]string{"-elasticsearch-url", ","}, []string{`elasticsearch-url: must name at least one node`}},
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
		if lines := strings.Count(err.Error(), "\n") + 1; lines != len(test.want) {
			t.Errorf("%v: %d faults are named, not %d: %v", test.args, lines, len(test.want), err)
		}
	}
}

func TestSettings_TellNoSecretThatWasWrittenIntoTheURL(t *testing.T) {
	for _, url := range []string{"http://u:hush@x", "http://u:%zzhush@x", "http://x?api_key=hush", "http://u:hush@x/?a=hush@", "ftp://x#hush"} {
		err := declared(t, "-elasticsearch-url", url).Validate()
		if err == nil || !strings.HasPrefix(err.Error(), "elasticsearch-url: ") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestNew_NamesTheSettingOfAFileThatIsNotThere(t *testing.T) {
	for want, args := range map[string][]string{
		"elasticsearch-api-key-file: ":       {"-elasticsearch-api-key-file", "/none"},
		"elasticsearch-read-api-key-file: ":  {"-elasticsearch-read-api-key-file", "/none"},
		"elasticsearch-read-password-file: ": {"-elasticsearch-read-username", "r", "-elasticsearch-read-password-file", "/none"},
	} {
		if _, err := New(declared(t, append(args, "-elasticsearch-url", "http://x")...).ReadOptions()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
