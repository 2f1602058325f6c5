package proxy

import (
	"net/url"
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
)

func TestIsGRPC_LooksAtTheContentType(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "APPLICATION/GRPC; charset=utf-8": true, "application/grpc-web+proto": true,
		"application/grpc-web-text": true, "": false, "application/grpcx": false, "application/json": false, "text/application/grpc": false,
	} {
		if isGRPC(contentType) != want {
			t.Errorf("%q: %v", contentType, !want)
		}
	}
}

func TestGRPCCode_FollowsTheMappingButForWhatIsFull(t *testing.T) {
	for code, want := range map[fault.Code]int{
		fault.Invalid: 13, fault.Forbidden: 7, fault.NotFound: 12, fault.MethodNotAllowed: 2, fault.TooLarge: 8, fault.HeaderTooLarge: 2,
		fault.WaitingRoomFull: 8, fault.TooManyConns: 14, fault.Unavailable: 14, fault.WakeUpTimeout: 14, fault.BadGateway: 14,
		fault.UpstreamTimeout: 14, fault.Internal: 2,
	} {
		if got := grpcCode(code); got != want {
			t.Errorf("%s (%d): %d, want %d", code, code.Status(), got, want)
		}
	}
}

func TestGRPCMessage_IsPercentEncodedAndBounded(t *testing.T) {
	for text, want := range map[string]string{
		"plain text, 100": "plain text, 100", "100%": "100%25", "a\r\nb": "a%0D%0Ab", "é": "%C3%A9", "\x7f~ ": "%7F~ ", "": "",
	} {
		if got := grpcMessage(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := grpcMessage(strings.Repeat("é", 4000)); len(got) != 3*maxGRPCMessage {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzGRPCMessage(f *testing.F) {
	f.Add("100% é\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		got := grpcMessage(text)
		back, err := url.PathUnescape(got)
		if err != nil || back != text[:min(len(text), maxGRPCMessage)] || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q: %q, %q, %v", text, got, back, err)
		}
	})
}
