package app_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/gen/common"
	"github.com/nemesis-scaling/nemesis/services/sidecar/internal/app"
)

func TestLoad_ItsOwnAPIIsInsideThePodAloneUnlessToldOtherwise(t *testing.T) {
	s, err := app.Load(nil, []string{"POD_NAME=web-x", "POD_NAMESPACE=shop"}, io.Discard)
	if err != nil || s.Listen != "127.0.0.1:0" {
		t.Errorf("%q, error %v", s.Listen, err)
	}
}

// The application must get its port whenever it begins: those that it may name, and those that the kernel
// gives to its connections, are not taken.
func TestRun_TheAPIIsOnAPortThatNobodyElseHas(t *testing.T) {
	_, url := controller(t)
	s := boot(t, "-controller-url", url, "-proc-root", t.TempDir(), "-listen", "127.0.0.1:0")
	address, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil || address.Port < 61_000 || !address.IP.IsLoopback() {
		t.Errorf("%v, error %v", address, err)
	}
}

func TestRun_APortThatTheApplicationHasIsNoReasonToEnd(t *testing.T) {
	application, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = application.Close() }()
	for name, listen := range map[string]string{"taken": application.Addr().String(), "not ours": "192.0.2.1:8082", "none is wanted": ""} {
		r, url := controller(t)
		folder := t.TempDir()
		proc(t, folder, 10)
		if s := boot(t, "-controller-url", url, "-proc-root", folder, "-listen", listen); s.api != nil {
			t.Errorf("%s: there is an API at %s", name, s.url)
		}
		r.wait(t, name+": a push", func(m []common.PodMetrics) bool { return len(m) > 0 })
	}
}

func TestNew_SaysThatItGoesOnWithoutAnAPI(t *testing.T) {
	application, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = application.Close() }()
	s, err := app.Load([]string{"-listen", application.Addr().String()}, []string{"POD_NAME=web-x", "POD_NAMESPACE=shop"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	if a, err := app.New(t.Context(), s, &log); err != nil || a.Addr() != nil {
		t.Fatalf("%v", err)
	}
	if !strings.Contains(log.String(), "without an API") || !strings.Contains(log.String(), "address already in use") {
		t.Errorf("logged:\n%s", log.String())
	}
}
