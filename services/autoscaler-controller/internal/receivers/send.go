package receivers

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	_ "golang.org/x/crypto/x509roots/fallback" // the image has no authorities of its own

	"github.com/nemesis-scaling/nemesis/pkg/build"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/notices"
)

// The bounds of one call.
const (
	callTimeout = 15 * time.Second // Slack's own answer takes some seconds at times
	connectIn   = 5 * time.Second
	readAnswer  = 4 << 10 // what it says besides its status is of no interest, but lets the connection be kept
)

// Why nothing goes to an address.
var (
	errNotAllowed = errors.New("its address is not in notification-networks")
	errClear      = errors.New("without TLS notices go only to networks that notification-networks names")
)

// sender makes the calls. It follows no redirects and goes through no proxy; an address is judged as it is
// connected to, after its name was looked up, so that no name can lead elsewhere than it seemed to.
type sender struct{ secure, clear *httpclient.Client }

func newSender(n Networks) *sender {
	client := func(clear bool) *httpclient.Client {
		dialer := &net.Dialer{Timeout: connectIn, Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return errNotAllowed
			}
			return n.permit(to.Addr(), clear)
		}}
		return httpclient.New(httpclient.Options{
			Timeout: callTimeout, Connect: connectIn, NoRedirects: true, MaxIdle: 1, IdleTimeout: 30 * time.Second, MaxAnswer: readAnswer,
			Dial: dialer.DialContext, TLS: &tls.Config{MinVersion: tls.VersionTLS12},
		})
	}
	return &sender{secure: client(false), clear: client(true)}
}

// result is what became of a call, why in words that tell nothing of what is there but its status, and for how
// long to leave the receiver alone.
type result struct {
	verdict notices.Verdict
	why     string
	cause   error // for the log alone
	after   time.Duration
}

func (s *sender) send(ctx context.Context, d notices.Delivery) result {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := request(ctx, d, time.Now())
	if err != nil {
		return result{verdict: notices.Never, why: "it cannot be written", cause: err}
	}
	client := s.secure
	if r.URL.Scheme == "http" {
		client = s.clear
	}
	answer, err := client.Do(r)
	if err != nil {
		return failed(err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return judge(answer)
}

// request is a notice as it is sent, signed where there is a key.
func request(ctx context.Context, d notices.Delivery, now time.Time) (*http.Request, error) {
	contentType, body, err := render(d.Receiver, d.Notice)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Receiver.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("its address cannot be read") // the error has the address, which is secret
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", "nemesis/"+build.Version())
	var signatures []string
	for key := range strings.FieldsSeq(d.Receiver.Keys) {
		hook, err := standardwebhooks.NewWebhook(key)
		if err != nil {
			return nil, errors.New("its key cannot be read")
		}
		signature, err := hook.Sign(d.Notice.ID, now, body)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		signatures = append(signatures, signature)
	}
	r.Header.Set(standardwebhooks.HeaderWebhookID, d.Notice.ID) // also unsigned: by it a notice is known that comes twice
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	if len(signatures) > 0 {
		r.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	return r, nil
}

// failed is what it means that there was no answer.
func failed(err error) result {
	if inside, ok := errors.AsType[*url.Error](err); ok {
		err = inside.Err // without the address
	}
	if unknown, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return result{verdict: notices.Later, why: "its certificate cannot be verified", cause: unknown}
	}
	for _, no := range []error{errNotAllowed, errClear} {
		if errors.Is(err, no) {
			return result{verdict: notices.Never, why: no.Error(), cause: err}
		}
	}
	return result{verdict: notices.Later, why: "it did not answer", cause: err}
}

// judge is what an answer means.
func judge(answer *http.Response) result {
	r := result{why: "it answered " + strconv.Itoa(answer.StatusCode)}
	switch status := answer.StatusCode; {
	case status/100 == 2:
		return result{verdict: notices.Taken}
	case status == http.StatusGone:
		r.verdict = notices.Gone
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status/100 == 5:
		r.verdict, r.after = notices.Later, after(answer.Header.Get("Retry-After"), time.Now())
	case status/100 == 3:
		r.verdict, r.why = notices.Never, r.why+", and redirects are not followed"
	default:
		r.verdict = notices.Never
	}
	return r
}

// after reads a Retry-After; 0 where there is none that can be read.
func after(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
