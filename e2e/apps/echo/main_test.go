package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestRun_ReportsSettingsThatAreNotAllowed(t *testing.T) {
	err := run(t.Context(), []string{"-port=x", "-grpc-port=70000", "-drain-seconds=-1"}, func(string) string { return "" }, io.Discard)
	for _, want := range []string{"-port (PORT)", "-grpc-port (GRPC_PORT)", "-drain-seconds (DRAIN_SECONDS)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, which lacks %s", err, want)
		}
	}
}

func TestListen_GivesUpBothWhenOneIsTaken(t *testing.T) {
	first, err := listen(t.Context(), config{address: "127.0.0.1:0", grpc: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = first.http.Close(), first.grpc.Close() }()
	if _, err := listen(t.Context(), config{address: "127.0.0.1:0", grpc: first.grpc.Addr().String()}); err == nil || !strings.Contains(err.Error(), "listen on") {
		t.Errorf("got %v", err)
	}
}

func TestServe_ServesBothUntilItIsToldToEnd(t *testing.T) {
	l, err := listen(t.Context(), config{address: "127.0.0.1:0", grpc: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	defer end()
	ran := make(chan error, 1)
	go func() { ran <- serve(ctx, l, time.Minute, slog.New(slog.DiscardHandler)) }()

	response, err := http.Get("http://" + l.http.Addr().String() + "/healthz")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", response, err)
	}
	_ = response.Body.Close()
	client, err := grpc.NewClient(l.grpc.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	got := new(wrapperspb.StringValue)
	if err := client.Invoke(t.Context(), sayMethod, wrapperspb.String("hello"), got); err != nil || got.GetValue() != "hello" {
		t.Fatalf("got %q, %v", got.GetValue(), err)
	}
	end()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
