package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// description is what protoc would make of
//
//	package nemesis.echo.v1;
//	service Echo {
//	  rpc Say(google.protobuf.StringValue) returns (google.protobuf.StringValue);
//	  rpc Converse(stream google.protobuf.StringValue) returns (stream google.protobuf.StringValue);
//	}
//
// Say refuses an empty text, so that a client can see an error's way back.
var description = grpc.ServiceDesc{
	ServiceName: "nemesis.echo.v1.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Say", Handler: say}},
	Streams:     []grpc.StreamDesc{{StreamName: "Converse", Handler: converse, ServerStreams: true, ClientStreams: true}},
}

// echo is the service; its trailers name the pod.
type echo struct{ pod string }

func newGRPC(pod string) *grpc.Server {
	server := grpc.NewServer()
	server.RegisterService(&description, echo{pod})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer()) // SERVING as long as it serves
	return server
}

func (e echo) trailer() metadata.MD { return metadata.Pairs("x-pod", e.pod) }

//nolint:revive // the signature is gRPC's own
func say(service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	text := new(wrapperspb.StringValue)
	if err := decode(text); err != nil {
		return nil, err
	}
	if text.GetValue() == "" {
		return nil, status.Error(codes.InvalidArgument, "value: it is empty; allowed: any text with at least one character")
	}
	return text, grpc.SetTrailer(ctx, service.(echo).trailer())
}

// converse gives each message back before it reads the next one, until the client has said all.
func converse(service any, stream grpc.ServerStream) error {
	stream.SetTrailer(service.(echo).trailer())
	for {
		text := new(wrapperspb.StringValue)
		if err := stream.RecvMsg(text); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(text); err != nil {
			return err
		}
	}
}

// serveGRPC serves until ctx ends, then takes nothing new and lets calls end, for drain at most.
func serveGRPC(ctx context.Context, server *grpc.Server, listener net.Listener, drain time.Duration) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve gRPC: %w", err)
	case <-ctx.Done():
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.GracefulStop()
	}()
	limit := time.NewTimer(drain)
	defer limit.Stop()
	select {
	case <-ended:
		return nil
	case <-limit.C:
		server.Stop()
		<-ended
		return fmt.Errorf("calls were cut after %s", drain)
	}
}
