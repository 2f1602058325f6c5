package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nemesis-scaling/nemesis/gen/autoscaler"
)

// meaning says each phase of a wake-up in words.
var meaning = map[autoscaler.WakeUpPhasePhase]string{
	autoscaler.WakeUpPhasePhaseArrival:          "the request arrives at the load balancer",
	autoscaler.WakeUpPhasePhaseStartCall:        "the controller is asked to start the application",
	autoscaler.WakeUpPhasePhaseScaled:           "the Deployment is scaled 0 → 1",
	autoscaler.WakeUpPhasePhasePodCreated:       "Kubernetes has made the pod",
	autoscaler.WakeUpPhasePhaseScheduled:        "it has a node",
	autoscaler.WakeUpPhasePhaseContainerStarted: "its container runs, says the kubelet",
	autoscaler.WakeUpPhasePhaseFirstGoodProbe:   "the balancer's own readiness check succeeds",
	autoscaler.WakeUpPhasePhaseReady:            "the kubelet calls it ready",
	autoscaler.WakeUpPhasePhaseFirstByte:        "the first byte of the answer",
}

// timeline prints when each phase was seen, in milliseconds since the request arrived.
func timeline(out io.Writer, w autoscaler.WakeUp) {
	fmt.Fprintf(out, "3. Where the time went (trace %s):\n\n", w.Id)
	last := 0.0
	for _, p := range w.Phases {
		fmt.Fprintf(out, "   %9.1f ms  %+9.1f  %-17s %s\n", p.SinceArrivalMs, p.SinceArrivalMs-last, p.Phase, meaning[p.Phase])
		last = p.SinceArrivalMs
	}
	fmt.Fprintln(out)
}

// reasons prints why the controller did it.
func reasons(out io.Writer, app *autoscaler.Application) {
	if app.LastDecision == nil {
		return
	}
	fmt.Fprintf(out, "4. Why: %s\n", app.LastDecision.Summary)
	for _, r := range app.LastDecision.Reasons {
		fmt.Fprintf(out, "   - %s (%s): %s\n", r.Rule, strings.ToLower(string(r.Effect)), r.Message)
	}
}

// console is the controller's web page, through the API server: a browser then needs to know neither the Service's address nor its authority.
const console = "/api/v1/namespaces/" + system + "/services/https:autoscaler-controller:8080/proxy/console/"

func farewell(out io.Writer, balancer, controller, admin, kubeconfig, elastic string, idle int32) {
	fmt.Fprintf(out, "\nThe model server sleeps again %d s after its last request. To look around:\n\n", idle)
	fmt.Fprintf(out, "   kubectl --kubeconfig %s get customautoscalers -A --watch\n", kubeconfig)
	fmt.Fprintf(out, "   curl -N %s/modelserver/v1/completions -H 'Content-Type: application/json' -d '{\"prompt\":\"Hello\",\"max_tokens\":30,\"stream\":true}'\n", balancer)
	fmt.Fprintf(out, "   TOKEN=$(kubectl --kubeconfig %s -n %s create token %s)   # of somebody who may view this namespace\n", kubeconfig, namespace, reader)
	fmt.Fprintf(out, "   kubectl --kubeconfig %s -n nemesis-system get configmap nemesis-ca -o jsonpath='{.data.ca\\.crt}' > ca.crt   # by whom the services are verified\n", kubeconfig)
	fmt.Fprintf(out, "   curl --cacert ca.crt -H \"Authorization: Bearer $TOKEN\" '%s/v1/decisions?limit=5'\n", controller)
	fmt.Fprintf(out, "   curl --cacert ca.crt -H \"Authorization: Bearer $TOKEN\" '%s/proxy/logs?limit=5'\n", admin)
	fmt.Fprintf(out, "   kubectl --kubeconfig %s proxy   # and the console, which asks for $TOKEN, is at http://127.0.0.1:8001%s\n", kubeconfig, console)
	fmt.Fprintf(out, "   make command && KUBECONFIG=%s NEMESIS_SERVICE_ACCOUNT=%s/%s build/bin/nemesis status -A   # and why, wakeups, waiting, report: what each says, in words\n", kubeconfig, namespace, reader)
	if elastic != "" {
		fmt.Fprintf(out, "   curl '%s/%s/_search?size=1&sort=@timestamp:desc&pretty'\n", elastic, stream)
	}
	fmt.Fprintln(out)
	fmt.Fprintln(out, "make demo-down removes all of it.")
}

// words hands on each word of a streamed, OpenAI-like answer (server-sent events that end with
// [DONE]).
func words(stream io.Reader, each func(string)) error {
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			return nil
		}
		var event struct {
			Choices []struct {
				Text string `json:"text"`
			} `json:"choices"`
		}
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return fmt.Errorf("the stream: %w in %q", err, data)
		}
		for _, c := range event.Choices {
			each(c.Text)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the stream: %w", err)
	}
	return errors.New("the stream ended before it was done")
}
