package proxy

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
)

// The codes of gRPC that refusals have (grpc.github.io/grpc/core/md_doc_statuscodes.html).
const (
	grpcUnknown           = 2
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// isGRPC tells whether a request of this Content-Type wants its status as gRPC has it; gRPC-Web is
// answered alike.
func isGRPC(contentType string) bool {
	const prefix = "application/grpc"
	if len(contentType) < len(prefix) || !strings.EqualFold(contentType[:len(prefix)], prefix) {
		return false
	}
	rest := contentType[len(prefix):]
	return rest == "" || rest[0] == '+' || rest[0] == ';' || rest[0] == '-'
}

// grpcCode follows gRPC's own mapping of statuses (doc/http-grpc-status-mapping.md), but for what is
// full: clients are told so, where the mapping would only say that nothing is there.
func grpcCode(code fault.Code) int {
	if code == fault.WaitingRoomFull {
		return grpcResourceExhausted
	}
	switch code.Status() {
	case http.StatusBadRequest:
		return grpcInternal
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusForbidden:
		return grpcPermissionDenied
	case http.StatusNotFound:
		return grpcUnimplemented
	case http.StatusTooManyRequests, http.StatusRequestEntityTooLarge:
		return grpcResourceExhausted
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return grpcUnavailable
	}
	return grpcUnknown
}

// maxGRPCMessage bounds grpc-message before it is encoded: clients bound heads at 8 KiB.
const maxGRPCMessage = 1024

// grpcMessage is a text as the field grpc-message has it: percent-encoded UTF-8.
func grpcMessage(text string) string {
	text = text[:min(len(text), maxGRPCMessage)]
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(text)+16)
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c <= '~' && c != '%' {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// writeGRPC refuses a request in gRPC's words: a head that is all of the answer, and says well as far
// as HTTP goes. When it is worth trying again is in grpc-retry-pushback-ms, which clients that retry
// go by.
func (x *exchange) writeGRPC(problem *fault.Error, contentType string) error {
	text := problem.Detail
	if text == "" {
		text = problem.Code.Title()
		if len(problem.Fields) > 0 {
			text += ": " + problem.Fields[0].Field + ": " + problem.Fields[0].Allowed
		}
	}
	x.answerAdd = append(x.answerAdd[:0],
		message.Field{Name: "Content-Type", Value: contentType, Known: message.ContentType},
		message.Field{Name: "grpc-status", Value: strconv.Itoa(grpcCode(problem.Code))},
		message.Field{Name: "grpc-message", Value: grpcMessage(text)})
	if after := problem.RetryAfter; x.mayHaveArrived {
		x.answerAdd = append(x.answerAdd, message.Field{Name: "grpc-retry-pushback-ms", Value: "-1"}) // not again
	} else if after > 0 {
		x.answerAdd = append(x.answerAdd, message.Field{Name: "grpc-retry-pushback-ms", Value: strconv.FormatInt(int64((after+time.Millisecond-1)/time.Millisecond), 10)})
	}
	x.answered = x.answerAdd
	head := &Head{Status: http.StatusOK, Reason: http.StatusText(http.StatusOK), Add: x.answerAdd, Close: x.r.HasBody() && !x.body.ended.Load() || problem.Code == fault.TooManyConns || x.crowdsOut}
	if err := x.c.Begin(head); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	if err := x.c.End(nil); err != nil {
		return fmt.Errorf("write to the client: %w", err)
	}
	return nil
}
