package http2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/nemesis-scaling/nemesis/pkg/testwait"
)

// service is a gRPC server that answers in every form.
type service struct {
	testgrpc.UnimplementedTestServiceServer
	ended chan error // of FullDuplexCall
}

func (s *service) UnaryCall(ctx context.Context, r *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-seen", strings.Join(in.Get("x-asked"), ","), "data-bin", "\x00\xff"))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("x-after", "the body", "x-from", strings.Join(in.Get("x-forwarded-for"), ",")))
	if r.ResponseStatus != nil {
		return nil, status.Error(codes.Code(r.ResponseStatus.Code), r.ResponseStatus.Message)
	}
	return &testgrpc.SimpleResponse{Payload: r.Payload}, nil
}

func (s *service) StreamingInputCall(in testgrpc.TestService_StreamingInputCallServer) error {
	size := int32(0)
	for {
		r, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return in.SendAndClose(&testgrpc.StreamingInputCallResponse{AggregatedPayloadSize: size})
		}
		if err != nil {
			return err
		}
		size += int32(len(r.Payload.Body))
	}
}

func (s *service) StreamingOutputCall(r *testgrpc.StreamingOutputCallRequest, out testgrpc.TestService_StreamingOutputCallServer) error {
	for _, p := range r.ResponseParameters {
		if err := out.Send(&testgrpc.StreamingOutputCallResponse{Payload: &testgrpc.Payload{Body: make([]byte, p.Size)}}); err != nil {
			return err
		}
	}
	return status.Error(codes.DataLoss, "100% of it")
}

func (s *service) FullDuplexCall(both testgrpc.TestService_FullDuplexCallServer) (err error) {
	defer func() { s.ended <- both.Context().Err() }()
	for {
		r, err := both.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := both.Send(&testgrpc.StreamingOutputCallResponse{Payload: r.Payload}); err != nil {
			return err
		}
	}
}

// grpcPod is a pod that serves gRPC.
func grpcPod(t *testing.T, o ...grpc.ServerOption) (address string, s *service, server *grpc.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, server = &service{ended: make(chan error, 100)}, grpc.NewServer(o...)
	testgrpc.RegisterTestServiceServer(server, s)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String(), s, server
}

func (f *front) dial(t *testing.T, o ...grpc.DialOption) testgrpc.TestServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+f.address, append(o, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return testgrpc.NewTestServiceClient(conn)
}

func payload(n int) *testgrpc.Payload { return &testgrpc.Payload{Body: make([]byte, n)} }

func TestGRPC_UnaryWithMetadataBothWays(t *testing.T) {
	f := newFront(t, nil)
	pod, _, _ := grpcPod(t)
	f.route(pod)
	client := f.dial(t)
	for _, size := range []int{0, 100, 70_000, 3 << 20} {
		var head, trailer metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-asked", "a", "x-asked", "b")
		r, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{Payload: payload(size)}, grpc.Header(&head), grpc.Trailer(&trailer))
		if err != nil || len(r.Payload.Body) != size {
			t.Fatalf("%d: %v", size, err)
		}
		if fmt.Sprint(head.Get("x-seen"), head.Get("data-bin"), trailer.Get("x-after"), trailer.Get("x-from")) != fmt.Sprint([]string{"a,b"}, []string{"\x00\xff"}, []string{"the body"}, []string{"127.0.0.1"}) {
			t.Errorf("%d: %v, %v", size, head, trailer)
		}
	}
	if r := f.records[0]; r.Status != 200 || r.Version != "2" || r.Method != http.MethodPost || r.Path != "/grpc.testing.TestService/UnaryCall" {
		t.Errorf("%+v", r)
	}
}

func TestGRPC_AStatusOfThePodArrives(t *testing.T) {
	f := newFront(t, nil)
	pod, _, _ := grpcPod(t)
	f.route(pod)
	client := f.dial(t)
	_, err := client.UnaryCall(t.Context(), &testgrpc.SimpleRequest{ResponseStatus: &testgrpc.EchoStatus{Code: int32(codes.OutOfRange), Message: "über\n100%"}})
	if s := status.Convert(err); s.Code() != codes.OutOfRange || s.Message() != "über\n100%" {
		t.Errorf("%v", err)
	}
	if _, err = client.UnimplementedCall(t.Context(), &testgrpc.Empty{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("an answer of trailers alone: %v", err)
	}
	out, err := client.StreamingOutputCall(t.Context(), &testgrpc.StreamingOutputCallRequest{ResponseParameters: []*testgrpc.ResponseParameters{{Size: 10}, {Size: 200_000}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{10, 200_000} {
		if r, err := out.Recv(); err != nil || len(r.Payload.Body) != size {
			t.Fatal(err)
		}
	}
	if _, err := out.Recv(); status.Code(err) != codes.DataLoss || status.Convert(err).Message() != "100% of it" {
		t.Errorf("after the stream: %v", err)
	}
}

func TestGRPC_StreamsFromTheClient(t *testing.T) {
	f := newFront(t, nil)
	pod, _, _ := grpcPod(t)
	f.route(pod)
	in, err := f.dial(t).StreamingInputCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if err := in.Send(&testgrpc.StreamingInputCallRequest{Payload: payload(10_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := in.CloseAndRecv(); err != nil || r.AggregatedPayloadSize != 300_000 {
		t.Errorf("%v, %v", r, err)
	}
}

func TestGRPC_SpeaksAndListensByTurns(t *testing.T) {
	f := newFront(t, nil)
	pod, s, _ := grpcPod(t)
	f.route(pod)
	both, err := f.dial(t).FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := both.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(i)}); err != nil {
			t.Fatal(err)
		}
		if r, err := both.Recv(); err != nil || len(r.Payload.GetBody()) != i {
			t.Fatalf("turn %d: %v", i, err)
		}
	}
	if err := both.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("the pod: %v", err)
	}
}

func TestGRPC_WakesAnApplication(t *testing.T) {
	f := newFront(t, nil)
	f.route()
	client := f.dial(t)
	answers := make(chan error, 3)
	go func() {
		_, err := client.UnaryCall(t.Context(), &testgrpc.SimpleRequest{Payload: payload(100)})
		answers <- err
	}()
	go func() {
		both, err := client.FullDuplexCall(t.Context())
		if err == nil {
			err = both.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(1)})
		}
		if err == nil {
			_, err = both.Recv()
		}
		if err == nil {
			err = both.CloseSend()
		}
		answers <- err
	}()
	go func() {
		in, err := client.StreamingInputCall(t.Context())
		for range 20 {
			if err == nil {
				err = in.Send(&testgrpc.StreamingInputCallRequest{Payload: payload(5_000)})
			}
		}
		if err == nil {
			_, err = in.CloseAndRecv()
		}
		answers <- err
	}()
	request := <-f.woken
	testwait.Until(t, "all three wait", func() bool { return request.Waiting() == 3 })
	if len(answers) > 0 {
		t.Fatalf("answered while asleep: %v", <-answers)
	}
	pod, _, _ := grpcPod(t)
	f.route(pod)
	for range 3 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

func TestGRPC_RefusalsOfOursAreStatuses(t *testing.T) {
	f := newFront(t, nil)
	f.dispatcher.Close() // whatever waits is sent away
	f.route()
	client := f.dial(t)
	_, err := client.UnaryCall(t.Context(), &testgrpc.SimpleRequest{})
	if s := status.Convert(err); s.Code() != codes.Unavailable || !strings.Contains(s.Message(), "load balancer is ending") {
		t.Errorf("%v", err)
	}
	f = newFront(t, nil) // without routes
	var head metadata.MD
	_, err = f.dial(t).UnaryCall(t.Context(), &testgrpc.SimpleRequest{Payload: payload(1000)}, grpc.Trailer(&head))
	if s := status.Convert(err); s.Code() != codes.Unimplemented || !strings.Contains(s.Message(), "no application has this host and path") {
		t.Errorf("%v", err)
	}
	f.mu.Lock()
	f.limit = 7
	f.mu.Unlock()
	_, err = f.dial(t).UnaryCall(t.Context(), &testgrpc.SimpleRequest{})
	if s := status.Convert(err); s.Code() != codes.Unavailable || !strings.Contains(s.Message(), "7 client connections are open") {
		t.Errorf("%v", err)
	}
}

func TestGRPC_AClientThatGoesIsSeenByThePod(t *testing.T) {
	f := newFront(t, nil)
	pod, s, _ := grpcPod(t)
	f.route(pod)
	ctx, cancel := context.WithCancel(t.Context())
	both, err := f.dial(t).FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := both.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-s.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the pod saw %v", err)
	}
}

func TestGRPC_APodThatDrainsLosesNothing(t *testing.T) {
	f := newFront(t, nil)
	first, _, server := grpcPod(t)
	second, _, _ := grpcPod(t)
	f.route(first)
	client := f.dial(t)
	both, err := client.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	turn := func() error {
		if err := both.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(1)}); err != nil {
			return err
		}
		_, err := both.Recv()
		return err
	}
	if err := turn(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { server.GracefulStop(); close(stopped) }()
	f.route(first, second) // the first one is still named: its GOAWAY sends requests elsewhere
	for range 50 {
		if _, err := client.UnaryCall(t.Context(), &testgrpc.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := turn(); err != nil {
		t.Errorf("the stream under way: %v", err)
	}
	if err := both.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := both.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	<-stopped
}

func TestGRPC_APodThatBreaksIsNoSuccess(t *testing.T) {
	f := newFront(t, nil)
	pod, _, server := grpcPod(t)
	f.route(pod)
	both, err := f.dial(t).FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := both.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(1)}); err != nil {
		t.Fatal(err)
	}
	if _, err := both.Recv(); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if _, err := both.Recv(); err == nil || errors.Is(err, io.EOF) || status.Code(err) == codes.OK {
		t.Errorf("after the pod broke off: %v", err)
	}
}

func TestGRPC_ManyAtATimeUseMoreConnections(t *testing.T) {
	f := newFront(t, nil)
	pod, _, _ := grpcPod(t, grpc.MaxConcurrentStreams(5))
	f.route(pod)
	client := f.dial(t)
	if _, err := client.UnaryCall(t.Context(), &testgrpc.SimpleRequest{}); err != nil { // the pod's settings are known now
		t.Fatal(err)
	}
	var open []testgrpc.TestService_FullDuplexCallClient
	for i := range 23 {
		both, err := client.FullDuplexCall(t.Context())
		if err == nil {
			err = both.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(1)})
		}
		if err == nil {
			_, err = both.Recv()
		}
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		open = append(open, both)
	}
	f.sender.mu.Lock()
	conns := len(f.sender.pods[pod].conns)
	f.sender.mu.Unlock()
	if conns != 5 {
		t.Errorf("%d connections carry 23 streams of 5 each", conns)
	}
	for _, both := range open {
		_ = both.CloseSend()
		if _, err := both.Recv(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
}
