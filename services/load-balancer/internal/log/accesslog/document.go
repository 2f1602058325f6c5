package accesslog

import (
	"strconv"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/genai"
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
	common string // members of every document, from behind the first time on to the event's id
	kept   map[string]bool
	clock  *clock
}

// NewOptions prepares what does not change from record to record. The values of the query
// parameters that are named here are told.
func NewOptions(origin Origin, parameters []string) Options {
	o := Options{clock: new(clock)}
	if len(parameters) > 0 {
		o.kept = make(map[string]bool, len(parameters))
	}
	for _, name := range parameters {
		o.kept[name] = true
	}
	b := text([]byte(`{"create":{`), `"_index":"`, "logs-"+Dataset+"-"+origin.Namespace, maxHost)
	o.create = string(append(b, `"_id":"`...))

	b = append([]byte(nil), `"ecs":{"version":"`+ecsVersion+`"},"data_stream":{"type":"logs","dataset":"`+Dataset+`",`...)
	b = closeObject(text(b, `"namespace":"`, origin.Namespace, maxHost), 0, 0)
	b = nameObject(b, `"host":{`, origin.Balancer)
	b = append(b, `"service":{"name":"load-balancer",`...)
	b = text(b, `"version":"`, origin.Version, maxHost)
	b = closeObject(nameObject(b, `"node":{`, origin.Balancer), 0, 0)
	b = append(b, `"event":{"kind":"event","category":["web"],"type":["access"],"dataset":"`+Dataset+`","id":"`...)
	o.common = string(b)
	return o
}

// nameObject appends an object with a name, if that is known.
func nameObject(b []byte, object, name string) []byte {
	if name == "" {
		return b
	}
	return append(appendText(append(append(b, object...), `"name":"`...), name, maxHost), `"},`...)
}

// AppendEntry appends the record as two lines for _bulk: what to do, and the document. Nothing of the
// record is kept.
func AppendEntry(dst []byte, id string, r *Record, o Options) []byte {
	dst = append(dst, o.create...)
	return o.document(appendText(dst, id, maxID), len(dst), r)
}

// AppendNumbered is AppendEntry with an id that is made here, of a prefix, which is plain ASCII, and a
// number to the base 36.
func AppendNumbered(dst []byte, prefix string, n uint64, r *Record, o Options) []byte {
	dst = append(dst, o.create...)
	return o.document(strconv.AppendUint(append(dst, prefix...), n, 36), len(dst), r)
}

// document appends what follows the id, which begins at from.
func (o *Options) document(b []byte, from int, r *Record) []byte {
	id := b[from:]
	b = append(b, `"}}`+"\n"+`{"@timestamp":`...)
	at := len(b)
	b = o.clock.append(b, r.ArrivedAt)
	arrived := b[at:] // as it is written, with its comma
	b = append(append(b, o.common...), id...)
	b = o.event(b, r, arrived)
	b = message(b, r)
	b = o.http(b, r)
	b = o.url(b, r)
	b = ends(b, r)
	b = kubernetes(b, r)
	b = hexID(b, `"trace":{"id":"`, r.TraceID[:])
	b = hexID(b, `"span":{"id":"`, r.SpanID[:])
	b = fault(b, r)
	b = genAI(b, r)
	b = nemesis(b, r)
	b[len(b)-1] = '}'
	return append(b, '\n')
}

// What became of a request, in event.action and error.type.
const (
	actionProxied   = "proxied"     // a pod's answer was begun
	actionRefused   = "refused"     // the balancer answered in its place
	actionAbandoned = "abandoned"   // the client left before an answer
	errorGone       = "client-gone" // likewise
	errorCut        = "cut-off"     // the answer is not whole, or the tunnel broke
)

// event ends the object that the common members have begun, behind the id.
func (o *Options) event(b []byte, r *Record, arrived []byte) []byte {
	became := `","action":"` + actionProxied + `","outcome":"`
	switch {
	case r.Refusal != "":
		became = `","action":"` + actionRefused + `","outcome":"`
	case r.Status == 0:
		became = `","action":"` + actionAbandoned + `","outcome":"`
	}
	b = append(b, became...)
	outcome := `success","start":`
	if r.ShownStatus() >= 400 || r.Error != "" {
		outcome = `failure","start":`
	}
	b = append(append(b, outcome...), arrived...)
	b = o.clock.append(append(b, `"end":`...), r.ArrivedAt.Add(r.Took))
	return append(strconv.AppendInt(append(b, `"duration":`...), int64(r.Took), 10), `},`...)
}

// message is the request in a line, for those who look at a list.
func message(b []byte, r *Record) []byte {
	b = appendText(append(b, `"message":"`...), r.Method, maxWord)
	b = appendText(append(b, ' '), r.Path, maxShown)
	return append(appendInt(append(b, ' '), int64(r.ShownStatus())), `",`...)
}

func kubernetes(b []byte, r *Record) []byte {
	const name = `"kubernetes":{`
	from := len(b)
	b = text(append(b, name...), `"namespace":"`, r.Application.Namespace, maxHost)
	b = nameObject(b, `"deployment":{`, r.Application.Deployment)
	b = nameObject(b, `"pod":{`, r.Pod)
	return closeObject(b, from, len(name))
}

func fault(b []byte, r *Record) []byte {
	kind := r.Refusal
	switch {
	case kind != "":
	case r.Status == 0:
		kind = errorGone
	case r.Error != "":
		kind = errorCut
	default:
		return b
	}
	b = text(append(b, `"error":{`...), `"type":"`, kind, maxWord)
	b = text(b, `"message":"`, r.Error, maxError)
	return closeObject(b, 0, 0)
}

func genAI(b []byte, r *Record) []byte {
	const name, response, usage = `"gen_ai":{`, `"response":{`, `"usage":{`
	if r.GenAI == (genai.Facts{}) {
		return b
	}
	from := len(b)
	b = text(append(append(b, name...), response...), `"model":"`, r.GenAI.Model, maxType)
	b = closeObject(b, from+len(name), len(response))
	at := len(b)
	b = positive(append(b, usage...), `"input_tokens":`, r.GenAI.InputTokens)
	b = positive(b, `"output_tokens":`, r.GenAI.OutputTokens)
	return closeObject(closeObject(b, at, len(usage)), from, len(name))
}

// nemesis appends what the Elastic Common Schema has no field for.
func nemesis(b []byte, r *Record) []byte {
	b = append(b, `"nemesis":{`...)
	if r.Application.Deployment != "" {
		b = appendText(append(b, `"application":"`...), r.Application.Namespace, maxHost)
		b = appendText(append(b, '/'), r.Application.Deployment, maxHost)
		b = append(b, `",`...)
	}
	if r.Address != "" {
		b = appendText(append(b, `"target":"http://`...), r.Address, maxHost)
		b = appendText(b, r.PodPath, maxPath-maxHost)
		b = append(b, `",`...)
	}
	b = text(b, `"policy":"`, r.Policy, maxHost)
	b = number(b, `"tries":`, int64(r.Tries))
	if r.WakeUp != "" {
		b = appendText(append(b, `"wakeup":{"id":"`...), r.WakeUp, maxID)
		b = append(b, `"},`...)
	}
	b = text(b, `"refusal":"`, r.Refusal, maxWord)
	if r.Uncounted {
		b = append(b, `"uncounted":true,`...)
	}
	if rate := r.rate(); rate == 1 {
		b = append(b, `"sample_rate":1,`...)
	} else {
		b = append(strconv.AppendFloat(append(b, `"sample_rate":`...), rate, 'f', -1, 64), ',')
	}
	b = millis(b, `"latency":{"ms":`, r.Took)
	b = millis(b, `"wait":{"ms":`, r.Waited)
	b = millis(b, `"upstream":{"ms":`, r.Upstream)
	b = millis(b, `"time_to_first_byte":{"ms":`, r.FirstByte)
	return closeObject(b, 0, 0)
}

func (r *Record) rate() float64 {
	if r.SampleRate > 0 && r.SampleRate < 1 {
		return r.SampleRate
	}
	return 1
}
