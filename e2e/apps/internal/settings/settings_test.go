package settings_test

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/e2e/apps/internal/settings"
)

type filled struct {
	slots   int
	rate    float64
	load    time.Duration
	listen  bool
	model   string
	address string
}

func parse(env map[string]string, args ...string) (filled, error) {
	var f filled
	s := settings.New("sample", func(name string) string { return env[name] }, io.Discard)
	s.Int(&f.slots, "slots", 4, 1, 8, "slots")
	s.Number(&f.rate, "rate", 2.5, 0.1, 10, "rate")
	s.Seconds(&f.load, "load-seconds", 3*time.Second, time.Minute, "load")
	s.Bool(&f.listen, "listen", true, "listen")
	s.Text(&f.model, "model", "m", 5, "model")
	s.Address(&f.address, "address", "8000", "address")
	return f, s.Parse(args)
}

func TestParse_FlagWinsOverEnvironmentWinsOverStandard(t *testing.T) {
	got, err := parse(map[string]string{"SLOTS": "5", "LOAD_SECONDS": "0.25", "LISTEN": "false"}, "-slots=6", "-address", "127.0.0.1:0")
	want := filled{slots: 6, rate: 2.5, load: 250 * time.Millisecond, listen: false, model: "m", address: "127.0.0.1:0"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestParse_ReportsAllFaultsWithNameValueAndRange(t *testing.T) {
	_, err := parse(map[string]string{"SLOTS": "9", "RATE": "NaN"}, "-load-seconds=61", "-listen=perhaps", "-model=abcdef", "-address=70000", "stray")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`-slots (SLOTS): "9" is not allowed: must be a whole number from 1 to 8`,
		`-rate (RATE): "NaN" is not allowed: must be a number from 0.1 to 10`,
		`-load-seconds (LOAD_SECONDS): "61" is not allowed: must be a number from 0 to 60`,
		`-listen (LISTEN): "perhaps" is not allowed: must be true or false`,
		`-model (MODEL): "abcdef" is not allowed: must have from 1 to 5 bytes`,
		`-address (ADDRESS): "70000" is not allowed: must be a port from 0 to 65535, or HOST:PORT`,
		`argument "stray" is not allowed`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing %s in:\n%v", want, err)
		}
	}
}

func TestParse_Help(t *testing.T) {
	if _, err := parse(nil, "-h"); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v", err)
	}
}
