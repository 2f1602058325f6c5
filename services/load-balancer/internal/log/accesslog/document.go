package accesslog

import (
	"net/netip"
	"strconv"
	"strings"
)

// Dataset names these documents among those of a data stream; another dataset's are none of ours.
const Dataset = "nemesis.access"

// ecsVersion is that of the Elastic Common Schema that the documents follow.
const ecsVersion = "9.0.0"

// Origin is what all documents of one load balancer have in common.
type Origin struct {
	Balancer  string // this replica
	Version   string // of the program
	Namespace string // of the data stream
}

// Options say how records are written. Make them with NewOptions.
type Options struct {
	create string // the first line, up to the id
	common string // members of every document
	kept   map[string]bool
}

// NewOptions prepares what does not change from record to record. The values of the query
// parameters that are named here are told.
func NewOptions(origin Origin, parameters []string) Options {
	o := Options{kept: make(map[string]bool, len(parameters))}
	for _, name := range parameters {
		o.kept[name] = true
	}
	var w writer
	w.raw(`{"create":{`)
	w.text("_index", "logs-"+Dataset+"-"+origin.Namespace, maxHost)
	w.name("_id")
	o.create = string(w.b)

	w = writer{}
	w.raw(`"ecs":{"version":"` + ecsVersion + `"},"data_stream":{"type":"logs","dataset":"` + Dataset + `",`)
	w.text("namespace", origin.Namespace, maxHost)
	w.end()
	w.begin("host")
	w.text("name", origin.Balancer, maxHost)
	w.end()
	w.raw(`"service":{"name":"load-balancer",`)
	w.text("version", origin.Version, maxHost)
	w.begin("node")
	w.text("name", origin.Balancer, maxHost)
	w.end()
	w.end()
	o.common = string(w.b)
	return o
}

// AppendEntry appends the record as two lines for _bulk: what to do, and the document.
func AppendEntry(dst []byte, id string, r *Record, o Options) []byte {
	w := writer{append(dst, o.create...)}
	w.value(id, maxID)
	w.b = append(w.b[:len(w.b)-1], "}}\n{"...)
	from := len(w.b) + len(`"@timestamp":`)
	w.time("@timestamp", r.ArrivedAt)
	arrived := w.b[from:] // as it is written, with its comma
	w.raw(o.common)
	w.event(id, r, arrived)
	w.message(r)
	w.request(r, &o)
	w.url(r, &o)
	w.ends(r)
	w.kubernetes(r)
	w.hex("trace", r.TraceID[:])
	w.hex("span", r.SpanID[:])
	w.fault(r)
	w.genAI(r)
	w.nemesis(r)
	return append(w.b[:len(w.b)-1], '}', '\n')
}

// What became of a request, in event.action and error.type.
const (
	actionProxied   = "proxied"     // a pod's answer was begun
	actionRefused   = "refused"     // the balancer answered in its place
	actionAbandoned = "abandoned"   // the client left before an answer
	errorGone       = "client-gone" // likewise
	errorCut        = "cut-off"     // the answer is not whole, or the tunnel broke
)

func (w *writer) event(id string, r *Record, arrived []byte) {
	action := actionProxied
	switch {
	case r.Refusal != "":
		action = actionRefused
	case r.Status == 0:
		action = actionAbandoned
	}
	outcome := "success"
	if r.ShownStatus() >= 400 || r.Error != "" {
		outcome = "failure"
	}
	w.raw(`"event":{"kind":"event","category":["web"],"type":["access"],"dataset":"` + Dataset + `",`)
	w.text("id", id, maxID)
	w.text("action", action, maxWord)
	w.text("outcome", outcome, maxWord)
	w.name("start")
	w.b = append(w.b, arrived...)
	w.time("end", r.ArrivedAt.Add(r.Took))
	w.number("duration", int64(r.Took))
	w.end()
}

// message is the request in a line, for those who look at a list.
func (w *writer) message(r *Record) {
	w.raw(`"message":"`)
	w.b = appendText(w.b, r.Method, maxWord)
	w.b = append(w.b, ' ')
	w.b = appendText(w.b, r.Path, maxShown)
	w.b = append(w.b, ' ')
	w.b = strconv.AppendInt(w.b, int64(r.ShownStatus()), 10)
	w.raw(`",`)
}

func (w *writer) request(r *Record, o *Options) {
	w.begin("http")
	w.text("version", r.Version, maxWord)
	w.begin("request")
	w.text("id", r.RequestID, maxID)
	w.text("method", r.Method, maxWord)
	w.mimeType(r.RequestType)
	if r.Referrer != "" {
		w.raw(`"referrer":"`)
		w.b = o.address(w.b, r.Referrer, maxReferrer)
		w.raw(`",`)
	}
	w.bodyBytes(r.RequestBytes)
	w.headers(r.RequestHeaders, o)
	w.end()
	w.begin("response")
	w.number("status_code", int64(r.ShownStatus()))
	w.mimeType(r.ResponseType)
	if r.Status != 0 && r.Refusal == "" { // what a refusal says is not counted
		w.bodyBytes(r.ResponseBytes)
	}
	w.headers(r.ResponseHeaders, o)
	w.end()
	w.end()
}

func (w *writer) bodyBytes(n int64) {
	w.begin("body")
	w.number("bytes", n)
	w.end()
}

// mimeType writes a media type without its parameters, in lower case.
func (w *writer) mimeType(value string) {
	if semicolon := strings.IndexByte(value, ';'); semicolon >= 0 {
		value = value[:semicolon]
	}
	value = strings.Trim(value, " \t")
	from := len(w.b)
	w.text("mime_type", value, maxType)
	for i, c := range w.b[from:] {
		if c >= 'A' && c <= 'Z' {
			w.b[from+i] = c + 'a' - 'A'
		}
	}
}

func (w *writer) headers(all []Header, o *Options) {
	if len(all) == 0 {
		return
	}
	w.begin("headers")
	for _, h := range all {
		w.name(h.Name)
		w.b = append(w.b, '[')
		for _, value := range h.Values[:min(len(h.Values), maxValues)] {
			if isAddress(h.Name) {
				w.b = append(w.b, '"')
				w.b = o.address(w.b, value, maxHeader)
				w.b = append(w.b, '"', ',')
				continue
			}
			w.value(value, maxHeader)
		}
		if last := len(w.b) - 1; w.b[last] == ',' {
			w.b = w.b[:last]
		}
		w.b = append(w.b, ']', ',')
	}
	w.end()
}

func (w *writer) url(r *Record, o *Options) {
	w.begin("url")
	w.text("path", r.Path, maxPath)
	var query []byte // as it is written
	if r.Query != "" {
		w.raw(`"query":"`)
		from := len(w.b)
		w.b = o.query(w.b, r.Query, maxQuery)
		query = w.b[from:]
		w.raw(`",`)
	}
	if r.Path != "" {
		w.raw(`"original":"`)
		w.b = appendText(w.b, r.Path, maxPath)
		switch left := maxOriginal - len(r.Path) - 1; {
		case len(query) == 0 || left <= 0:
		case len(query)+2 <= left:
			w.b = append(append(w.b, '?'), query...)
		default:
			w.b = o.query(append(w.b, '?'), r.Query, left)
		}
		w.raw(`",`)
	}
	domain, port := hostPort(withoutUser(r.Host))
	w.text("domain", domain, maxHost)
	w.positive("port", int64(port))
	w.text("scheme", r.Scheme, maxWord)
	w.end()
}

// hostPort divides a host from a port that stands in its usual form.
func hostPort(host string) (string, uint16) {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || colon+1 == len(host) || host[colon+1] == '0' || host[colon+1] == '+' || strings.HasSuffix(host, "]") {
		return host, 0
	}
	port, err := strconv.ParseUint(host[colon+1:], 10, 16)
	if err != nil {
		return host, 0
	}
	return host[:colon], uint16(port)
}

// ends writes who asked, by way of whom, and which pod answered.
func (w *writer) ends(r *Record) {
	w.begin("client")
	w.text("address", r.Client, maxWord)
	w.ip(r.Client)
	if r.Client == r.Peer { // else only the last proxy knows it
		w.positive("port", int64(r.PeerPort))
	}
	w.end()
	w.begin("source")
	w.text("address", r.Peer, maxWord)
	w.ip(r.Peer)
	w.positive("port", int64(r.PeerPort))
	w.end()
	w.begin("destination")
	address, port := hostPort(r.Address)
	address = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	w.text("address", address, maxHost)
	w.ip(address)
	w.positive("port", int64(port))
	w.end()
	w.begin("user_agent")
	w.text("original", r.UserAgent, maxAgent)
	w.end()
}

// ip writes an address that is one: Elasticsearch refuses documents with others.
func (w *writer) ip(address string) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return
	}
	w.raw(`"ip":"`)
	w.b = ip.Unmap().WithZone("").AppendTo(w.b)
	w.raw(`",`)
}

func (w *writer) kubernetes(r *Record) {
	w.begin("kubernetes")
	w.text("namespace", r.Application.Namespace, maxHost)
	w.begin("deployment")
	w.text("name", r.Application.Deployment, maxHost)
	w.end()
	w.begin("pod")
	w.text("name", r.Pod, maxHost)
	w.end()
	w.end()
}

func (w *writer) fault(r *Record) {
	kind := r.Refusal
	switch {
	case kind != "":
	case r.Status == 0:
		kind = errorGone
	case r.Error != "":
		kind = errorCut
	}
	w.begin("error")
	w.text("type", kind, maxWord)
	w.text("message", r.Error, maxError)
	w.end()
}

func (w *writer) genAI(r *Record) {
	w.begin("gen_ai")
	w.begin("response")
	w.text("model", r.GenAI.Model, maxType)
	w.end()
	w.begin("usage")
	w.positive("input_tokens", r.GenAI.InputTokens)
	w.positive("output_tokens", r.GenAI.OutputTokens)
	w.end()
	w.end()
}

// nemesis writes what the Elastic Common Schema has no field for.
func (w *writer) nemesis(r *Record) {
	w.begin("nemesis")
	if r.Application.Deployment != "" {
		w.raw(`"application":"`)
		w.b = appendText(w.b, r.Application.Namespace, maxHost)
		w.b = append(w.b, '/')
		w.b = appendText(w.b, r.Application.Deployment, maxHost)
		w.raw(`",`)
	}
	if r.Address != "" {
		w.raw(`"target":"http://`)
		w.b = appendText(w.b, r.Address, maxHost)
		w.b = appendText(w.b, r.PodPath, maxPath-maxHost)
		w.raw(`",`)
	}
	w.text("policy", r.Policy, maxHost)
	w.number("tries", int64(r.Tries))
	w.begin("wakeup")
	w.text("id", r.WakeUp, maxID)
	w.end()
	w.text("refusal", r.Refusal, maxWord)
	w.name("sample_rate")
	w.b = append(strconv.AppendFloat(w.b, r.rate(), 'f', -1, 64), ',')
	w.span("latency", r.Took)
	w.span("wait", r.Waited)
	w.span("upstream", r.Upstream)
	w.span("time_to_first_byte", r.FirstByte)
	w.end()
}

func (r *Record) rate() float64 {
	if r.SampleRate > 0 && r.SampleRate < 1 {
		return r.SampleRate
	}
	return 1
}
