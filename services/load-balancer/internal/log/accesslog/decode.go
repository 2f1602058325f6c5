package accesslog

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
)

// ErrOtherDataset is a document that is none of these.
var ErrOtherDataset = errors.New("the document is of another dataset than " + Dataset)

type (
	named      struct{ Name string }
	identified struct{ ID string }
	span       struct {
		MS float64 `json:"ms"`
	}
)

// document is what is read back: what GET /proxy/logs shows, and what a Query asks for.
type document struct {
	Timestamp time.Time `json:"@timestamp"`
	Event     struct {
		ID       string
		Dataset  string
		Action   string
		Duration int64
		Start    time.Time
	}
	HTTP struct {
		Version string
		Request struct {
			ID     string
			Method string
			Body   struct{ Bytes int64 }
		}
		Response struct {
			Status int `json:"status_code"`
			Body   struct{ Bytes int64 }
		}
	}
	URL struct {
		Path   string
		Query  string
		Domain string
		Port   int
		Scheme string
	}
	Client struct{ Address string }
	Source struct {
		Address string
		Port    uint16
	}
	UserAgent  struct{ Original string } `json:"user_agent"`
	Kubernetes struct {
		Namespace  string
		Deployment named
		Pod        named
	}
	Trace, Span identified
	Error       struct{ Message string }
	GenAI       struct {
		Response struct{ Model string }
		Usage    struct {
			Input  int64 `json:"input_tokens"`
			Output int64 `json:"output_tokens"`
		}
	} `json:"gen_ai"`
	Nemesis struct {
		Target     string
		Policy     string
		Tries      int
		WakeUp     identified
		Refusal    string
		Uncounted  bool
		SampleRate float64 `json:"sample_rate"`
		Wait       span
		Upstream   span
		FirstByte  span `json:"time_to_first_byte"`
	}
}

// Decode reads a document back, of whatever spool or index it comes. What was not written is not
// there again: values that were redacted, what was cut off, headers and media types. Times other
// than the arrival and the whole have microseconds.
func Decode(line []byte) (Entry, error) {
	var d document
	if err := json.Unmarshal(line, &d); err != nil {
		return Entry{}, fmt.Errorf("a document of the log: %w", err)
	}
	if d.Event.Dataset != Dataset {
		return Entry{}, ErrOtherDataset
	}
	e := Entry{ID: d.Event.ID, Record: Record{
		ArrivedAt: d.Timestamp, Took: time.Duration(d.Event.Duration),
		Waited: d.Nemesis.Wait.duration(), FirstByte: d.Nemesis.FirstByte.duration(), Upstream: d.Nemesis.Upstream.duration(),
		Method: d.HTTP.Request.Method, Scheme: d.URL.Scheme, Host: d.URL.Domain, Path: d.URL.Path, Query: d.URL.Query,
		Version: d.HTTP.Version, RequestID: d.HTTP.Request.ID, UserAgent: d.UserAgent.Original,
		Client: d.Client.Address, Peer: d.Source.Address, PeerPort: d.Source.Port,
		Application: Application{Namespace: d.Kubernetes.Namespace, Deployment: d.Kubernetes.Deployment.Name},
		Pod:         d.Kubernetes.Pod.Name, Policy: d.Nemesis.Policy, Tries: d.Nemesis.Tries, WakeUp: d.Nemesis.WakeUp.ID,
		Status: d.HTTP.Response.Status, RequestBytes: d.HTTP.Request.Body.Bytes, ResponseBytes: d.HTTP.Response.Body.Bytes,
		GenAI:     genai.Facts{Model: d.GenAI.Response.Model, InputTokens: d.GenAI.Usage.Input, OutputTokens: d.GenAI.Usage.Output},
		Uncounted: d.Nemesis.Uncounted, Refusal: d.Nemesis.Refusal, Error: d.Error.Message, SampleRate: d.Nemesis.SampleRate,
	}}
	if !d.Event.Start.IsZero() { // an index may have cut @timestamp to the millisecond, and not this one
		e.ArrivedAt = d.Event.Start
	}
	if d.URL.Port > 0 {
		e.Host += ":" + strconv.Itoa(d.URL.Port)
	}
	if d.Event.Action == actionAbandoned {
		e.Status = 0
	}
	if target, ok := strings.CutPrefix(d.Nemesis.Target, "http://"); ok {
		e.Address = target
		if slash := strings.IndexByte(target, '/'); slash >= 0 {
			e.Address, e.PodPath = target[:slash], target[slash:]
		}
	}
	// An id that cannot be read is none: the rest of the record is worth more.
	_, _ = hex.Decode(e.TraceID[:], []byte(d.Trace.ID[:min(len(d.Trace.ID), 2*len(e.TraceID))]))
	_, _ = hex.Decode(e.SpanID[:], []byte(d.Span.ID[:min(len(d.Span.ID), 2*len(e.SpanID))]))
	return e, nil
}

func (s span) duration() time.Duration { return time.Duration(s.MS*1000+0.5) * time.Microsecond }
