package main

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	sayMethod      = "/nemesis.echo.v1.Echo/Say"
	converseMethod = "/nemesis.echo.v1.Echo/Converse"
)

// running is a gRPC server in this process, with a client.
type running struct {
	client *grpc.ClientConn
	end    context.CancelFunc
	ran    <-chan error
}

func begin(t *testing.T, drain time.Duration) running {
	t.Helper()
	l := bufconn.Listen(64 << 10)
	client, err := grpc.NewClient("passthrough:echo",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- serveGRPC(ctx, newGRPC("pod-1"), l, drain) }()
	return running{client, end, ran}
}

func (r running) converse(t *testing.T) grpc.ClientStream {
	t.Helper()
	stream, err := r.client.NewStream(context.Background(), &description.Streams[0], converseMethod)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// exchange sends a text and wants it back before it sends another one.
func exchange(t *testing.T, stream grpc.ClientStream, text string) {
	t.Helper()
	got := new(wrapperspb.StringValue)
	if err := stream.SendMsg(wrapperspb.String(text)); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(got); err != nil || got.GetValue() != text {
		t.Fatalf("got %q, %v; want %q", got.GetValue(), err, text)
	}
}

func TestSay_GivesATextBackAndRefusesNone(t *testing.T) {
	r := begin(t, time.Minute)
	defer func() { _ = r.client.Close() }()
	defer r.end()
	for _, c := range []struct {
		text string
		code codes.Code
	}{{"hello", codes.OK}, {"é\n", codes.OK}, {"", codes.InvalidArgument}} {
		got, trailer := new(wrapperspb.StringValue), metadata.MD{}
		err := r.client.Invoke(t.Context(), sayMethod, wrapperspb.String(c.text), got, grpc.Trailer(&trailer))
		if status.Code(err) != c.code || got.GetValue() != c.text {
			t.Errorf("%q: got %q, %v; want %s", c.text, got.GetValue(), err, c.code)
		}
		if pods := trailer.Get("x-pod"); c.code == codes.OK && (len(pods) != 1 || pods[0] != "pod-1") {
			t.Errorf("%q: trailers %v", c.text, trailer)
		}
	}
}

func TestHealth_ServesWhatAReadinessProbeAsks(t *testing.T) {
	r := begin(t, time.Minute)
	defer func() { _ = r.client.Close() }()
	defer r.end()
	got, err := grpc_health_v1.NewHealthClient(r.client).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestServeGRPC_LetsAConversationEnd(t *testing.T) {
	r := begin(t, time.Hour)
	defer func() { _ = r.client.Close() }()
	stream := r.converse(t)
	exchange(t, stream, "before")
	r.end()
	exchange(t, stream, "after")
	select {
	case err := <-r.ran:
		t.Fatalf("returned in the middle of a conversation: %v", err)
	default:
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); err == nil || stream.Trailer().Get("x-pod") == nil {
		t.Errorf("the end is %v, trailers %v", err, stream.Trailer())
	}
	if err := <-r.ran; err != nil {
		t.Error(err)
	}
}

func TestServeGRPC_SaysWhenTheDrainCutAConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := begin(t, time.Minute)
		stream := r.converse(t)
		exchange(t, stream, "before")
		began := time.Now()
		r.end()
		if err := <-r.ran; err == nil || time.Since(began) != time.Minute {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
		if err := stream.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.Unavailable {
			t.Errorf("the client got %v", err)
		}
		_ = r.client.Close()
	})
}
