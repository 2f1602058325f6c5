//go:build linux

// Command benchroutes measures what routes cost a load balancer by how many there are: a request's way to
// its pod, following their changes, and a change of the leader. It starts the controller's side, which
// serves them over loopback, writes a table for people, and a file for programs.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// result is what was measured with so many routes.
type result struct {
	Build  string `json:"build"`
	Routes int    `json:"routes"`
	// Of a request: finding its application, and with it a pod and giving that back.
	MatchNs          float64 `json:"matchNs"`          // among all routes, in turn
	MatchTenNs       float64 `json:"matchTenNs"`       // among ten of them
	RequestNs        float64 `json:"requestNs"`        // among all
	RequestTenNs     float64 `json:"requestTenNs"`     // among ten
	MatchAllocations int64   `json:"matchAllocations"` // of one
	// Of a request through the whole load balancer, its CPU time: in turn to each of all applications, to each
	// of ten of them, and to each of ten where there are no others.
	WholeUs      float64 `json:"wholeUs"`
	WholeTenUs   float64 `json:"wholeTenUs"`
	WholeAloneUs float64 `json:"wholeAloneUs"`
	// While some of the routes change each second.
	ChangesPerSecond  int     `json:"changesPerSecond"`
	BalancerCore      float64 `json:"balancerCore"`   // share of a core
	ControllerCore    float64 `json:"controllerCore"` // with the one load balancer, the bench's own part in it
	BytesPerSecond    float64 `json:"bytesPerSecond"`
	DelayMsMedian     float64 `json:"delayMsMedian"` // from the change to the table that has it
	DelayMsP99        float64 `json:"delayMsP99"`
	BytesFirst        int64   `json:"bytesFirst"`        // of everything
	BytesNewLeader    int64   `json:"bytesNewLeader"`    // which sees the same
	BytesNewLeaderTen int64   `json:"bytesNewLeaderTen"` // which sees ten routes otherwise
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchroutes:", err)
		os.Exit(1)
	}
}

func run() error {
	controller := flag.String("controller", "", "the program of the controller's side")
	balancer := flag.String("balancer", "", "the load balancer; empty leaves out what a whole request costs")
	build := flag.String("build", "this build", "what is measured")
	sizes := flag.String("routes", "10,1000,10000", "how many routes")
	rate := flag.Int("rate", 100, "changes a second")
	seconds := flag.Int("seconds", 10, "of changes")
	out := flag.String("out", "", "file for programs; what is in it already stays")
	flag.Parse()
	results, err := earlier(*out)
	if err != nil {
		return err
	}
	for size := range strings.SplitSeq(*sizes, ",") {
		var n int
		if _, err := fmt.Sscanf(size, "%d", &n); err != nil || n < 10 {
			return fmt.Errorf("routes: %q is not a number from 10 on", size)
		}
		r, err := measure(*controller, n, *rate, *seconds)
		if err != nil {
			return fmt.Errorf("%d routes: %w", n, err)
		}
		if *balancer != "" {
			if err := r.whole(*controller, *balancer); err != nil {
				return fmt.Errorf("%d routes: %w", n, err)
			}
		}
		r.Build = *build
		results = append(results, r)
	}
	if err := table(results); err != nil {
		return err
	}
	judge(os.Stdout, results[len(results)-1])
	if *out == "" {
		return nil
	}
	raw, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*out, append(raw, '\n'), 0o644) //nolint:gosec // figures are no secret
}

// earlier are the results that the file has.
func earlier(file string) (results []result, err error) {
	raw, err := os.ReadFile(file) //nolint:gosec // G304: the caller names it
	if err != nil {
		return nil, nil //nolint:nilerr // there is none
	}
	return results, json.Unmarshal(raw, &results)
}

func table(results []result) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "build\troutes\tmatch ns\tof ten\twith a pod ns\tof ten\tallocations\trequest us\tof ten\tof only ten\tbalancer core\tcontroller core\tKB/s\tdelay ms p50\tp99\tfirst KB\tnew leader KB\t10 differ KB\t")
	for _, r := range results {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%d\t%.2f\t%.2f\t%.2f\t%.2f %%\t%.2f %%\t%.1f\t%.2f\t%.2f\t%.1f\t%.1f\t%.1f\t\n",
			r.Build, r.Routes, r.MatchNs, r.MatchTenNs, r.RequestNs, r.RequestTenNs, r.MatchAllocations, r.WholeUs, r.WholeTenUs, r.WholeAloneUs, 100*r.BalancerCore, 100*r.ControllerCore,
			r.BytesPerSecond/1e3, r.DelayMsMedian, r.DelayMsP99, float64(r.BytesFirst)/1e3, float64(r.BytesNewLeader)/1e3, float64(r.BytesNewLeaderTen)/1e3)
	}
	_, err := fmt.Fprintln(w, "\nThe load balancer speaks clear text with the controller's side, without tokens: "+strings.Join(unguarded, " "))
	return errors.Join(err, w.Flush())
}

// judge says whether the targets are met with the most routes.
func judge(w io.Writer, r result) {
	verdict := func(what string, value, limit float64) {
		word := "met"
		if value > limit {
			word = "missed"
		}
		_, _ = fmt.Fprintf(w, "  %-62s at most %4.1f %%: %5.2f %%  %s\n", what, limit, value, word)
	}
	_, _ = fmt.Fprintf(w, "\nTargets at %d routes\n", r.Routes)
	verdict(fmt.Sprintf("following %d changes a second, of a core", r.ChangesPerSecond), 100*r.BalancerCore, 3)
	if r.WholeAloneUs > 0 {
		verdict("a request's CPU time, to ten of them, over that with ten routes", 100*(r.WholeTenUs/r.WholeAloneUs-1), 5)
	}
}
