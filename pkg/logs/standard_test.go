package logs

import (
	"bytes"
	"encoding/json"
	stdlog "log" //nolint:depguard // what libraries write to
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// lines takes the log apart; each line has to be JSON.
func lines(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		all = append(all, one)
	}
	return all
}

func TestStart_WhatTheStandardLoggerSaysIsALineOfTheLog(t *testing.T) {
	var out bytes.Buffer
	Start("sample", slog.LevelInfo, &out)
	out.Reset()
	stdlog.Printf("protocol error: %v\nfrom %q", "GOAWAY", "pod")
	got := lines(t, out.String())
	if len(got) != 1 || got[0]["level"] != "WARN" || got[0]["service"] != "sample" || got[0]["error"] != "protocol error: GOAWAY\nfrom \"pod\"" {
		t.Errorf("the log has %v", got)
	}
}

// channel is a log whose lines are waited for.
type channel chan string

func (c channel) Write(line []byte) (int, error) {
	c <- string(line)
	return len(line), nil
}

// The client of net/http has no logger that could be set: it says so to the standard one.
func TestStart_ALibraryWithoutALoggerOfItsOwnWritesIntoTheLog(t *testing.T) {
	log := make(channel, 100)
	Start("sample", slog.LevelInfo, log)
	<-log // what runs
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(nc net.Conn, state http.ConnState) {
		if state == http.StateIdle { // it answers what nobody has asked
			_, _ = nc.Write([]byte("unsolicited"))
		}
	}
	server.Start()
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answer, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	got := lines(t, testwait.Receive(t, "a line", log))
	if text, _ := got[0]["error"].(string); got[0]["level"] != "WARN" || !strings.Contains(text, "unsolicited") {
		t.Errorf("the log has %v", got)
	}
}

func TestStandard_BoundsHowMuchIsLogged(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	s := newStandard(slog.New(slog.NewJSONHandler(&out, nil)), func() time.Time { return now })
	for i, step := range []struct {
		after  time.Duration
		says   int
		logged int
		before any // the lines that the first one says were left out
	}{
		{0, 100, standardBurst, nil},
		{standardEvery - 1, 5, 0, nil},
		{1, 5, 1, float64(100 - standardBurst + 5)},
		{2 * standardEvery, 1, 1, float64(4)},
		{0, 5, 1, nil},
		{time.Hour, 100, standardBurst, float64(4)},
	} {
		out.Reset()
		now = now.Add(step.after)
		for range step.says {
			if n, err := s.Write([]byte("again\n")); n != len("again\n") || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
		got := lines(t, out.String())
		if len(got) != step.logged {
			t.Errorf("step %d: %d lines were logged, want %d", i, len(got), step.logged)
		}
		if len(got) > 0 && got[0]["omitted"] != step.before {
			t.Errorf("step %d: %v were left out, want %v", i, got[0]["omitted"], step.before)
		}
	}
}

func TestStandard_BoundsALine(t *testing.T) {
	var out bytes.Buffer
	s := newStandard(slog.New(slog.NewJSONHandler(&out, nil)), time.Now)
	_, _ = s.Write([]byte("x" + strings.Repeat("é", standardLine)))
	text, _ := lines(t, out.String())[0]["error"].(string)
	if len(text) > standardLine+len("…") || !utf8.ValidString(text) || !strings.HasSuffix(text, "é…") {
		t.Errorf("%d bytes, which end with %q", len(text), text[len(text)-10:])
	}
}
