package report

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/fleet"
	"github.com/nemesis-scaling/nemesis/services/autoscaler-controller/internal/history"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	to   = time.Date(2026, 3, 2, 6, 0, 0, 0, time.UTC)
	from = to.Add(-7 * 24 * time.Hour)
	week = Asked{From: from, To: to, Namespace: "shop"}
)

// shop are some applications as they may be.
func shop() []Application {
	random := rand.New(rand.NewPCG(1, 2))
	hour := func(n float64) float64 { return 3600 * n }
	app := func(name string, awake, most float64, woken, arrivals int64, start time.Duration) Application {
		a := Application{Key: fleet.Key{Namespace: "shop", Deployment: name}, Since: from}
		a.Observed, a.PodSeconds, a.Asleep = hour(168), hour(awake), hour(max(168-awake, 0))
		a.SavedAgainstOne, a.SavedAgainstMaximum, a.Arrivals = a.Asleep, hour(168*most-awake), arrivals
		for range woken {
			a.Waits.Add(start + time.Duration(random.ExpFloat64()*float64(start)/3))
		}
		return a
	}
	llama := app("llama", 21.5, 4, 62, 48211, 14*time.Second)
	llama.Late, llama.Failed, llama.Failures, llama.Rejected = 5, 2, 31, 9
	llama.Rules = []Rule{{"ResponseTimeThreshold", from.Add(-800 * time.Hour), time.Time{}}, {"Rule:night", from.Add(-800 * time.Hour), to.Add(-30 * time.Hour)}}
	embed := app("embeddings", 168, 6, 0, 1903344, time.Second)
	embed.PodSeconds, embed.SavedAgainstMaximum, embed.Failures = hour(402.25), hour(605.75), 17
	embed.Contest = "the HorizontalPodAutoscaler embeddings scales it too"
	embed.Totals.Contested = hour(36)
	embed.Rules = []Rule{{"Rule:queue|depth", time.Time{}, time.Time{}}, {"CPUThreshold", from.Add(-99 * time.Hour), from.Add(-9 * time.Hour)}}
	fibonacci := app("fibonacci-deployment", 1.1, 3, 120, 8800, 700*time.Millisecond)
	young := app("whisper", 4, 2, 3, 90, 40*time.Second)
	young.Since, young.Observed, young.Asleep, young.SavedAgainstOne = to.Add(-20*time.Hour), hour(20), hour(16), hour(16)
	young.Totals.Contested = hour(.5)
	idle := app("archive", 0, 1, 0, 0, 0)
	idle.Rules = []Rule{{"CPUThreshold", from, time.Time{}}}
	return []Application{llama, embed, fibonacci, young, idle}
}

func made(asked Asked, all ...Application) Report {
	b := New(asked)
	for _, a := range all {
		b.Add(a)
	}
	return b.Report()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", name, diff)
	}
}

func TestReport_AsMarkdownHTMLAndText(t *testing.T) {
	for name, r := range map[string]Report{
		"week":  made(week, shop()...),
		"day":   made(Asked{From: to.Add(-24 * time.Hour), To: to}, Application{Key: fleet.Key{Namespace: "shop", Deployment: "a"}}),
		"empty": made(week),
	} {
		page, err := r.HTML()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".md", r.Markdown()+"\n")
		golden(t, name+".html", page)
		golden(t, name+".txt", r.Text()+"\n")
	}
}

// What the names of a cluster say is never more than text.
func TestReport_EscapesEverything(t *testing.T) {
	const evil = "a|b `c` [d](https://e) <script>alert(1)</script> *f* _g_ # h\n# i &amp; \" onload=x"
	a := shop()[1]
	a.Deployment, a.Contest = evil, evil
	a.Rules = []Rule{{Name: evil}}
	r := made(Asked{From: from, To: to, Namespace: evil}, a)
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page, "<script") || strings.Contains(page, `" onload`) || strings.Count(page, "&lt;script&gt;") < 4 {
		t.Errorf("as HTML: %s", page)
	}
	for line := range strings.Lines(r.Markdown()) {
		if rest := strings.NewReplacer(`\<`, "", `\[`, "", "\\`", "", `\*`, "", `\|`, "", `\_`, "").Replace(line); strings.ContainsAny(rest, "<[`*_") {
			t.Errorf("as Markdown: %s", line)
		}
		if cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); !slices.Contains([]int{0, 4, 5, 13}, cells) {
			t.Errorf("%d cells: %s", cells-1, line)
		}
	}
	if strings.Contains(r.Markdown(), "\n# i") {
		t.Error("a name made a heading")
	}
}

// The reports of shards together are the report of all.
func TestMerge_Property_IsTheReportOfAll(t *testing.T) {
	exact := cmp.Options{cmp.AllowUnexported(history.Waits{}), cmp.Comparer(func(a, b history.Waits) bool {
		return a.Len() == b.Len() && a.Quantile(.5) == b.Quantile(.5) && a.Quantile(.95) == b.Quantile(.95)
	}), cmpopts.EquateApprox(0, 1e-6)}
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 5))
		var all []Application
		parts := make([][]Application, 3)
		for i := range random.IntN(200) {
			a := shop()[random.IntN(5)]
			a.Namespace, a.Deployment = fmt.Sprintf("n%d", random.IntN(5)), fmt.Sprintf("d%03d", i)
			a.Totals.Failed, a.Rejected = int64(random.IntN(3)), int64(random.IntN(3))
			all = append(all, a)
			parts[i%3] = append(parts[i%3], a)
		}
		asked := Asked{From: from, To: to}
		want := made(asked, all...)
		got := Merge(made(asked, parts[0]...), made(asked, parts[1]...), made(asked, parts[2]...))
		if diff := cmp.Diff(want, got, exact, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d (-all +merged):\n%s", seed, diff)
		}
	}
}

func TestReport_NamesNoMoreThanItsBoundsAndCountsTheRest(t *testing.T) {
	var all []Application
	for i := range 300 {
		a := shop()[1]
		a.Deployment = fmt.Sprintf("d%03d", i)
		a.Totals.Failed = int64(i % 7)
		all = append(all, a)
	}
	r := made(week, all...)
	if len(r.Items) != MostItems || len(r.Contested) != MostContested || len(r.Silent) != MostSilent {
		t.Errorf("%d, %d, %d", len(r.Items), len(r.Contested), len(r.Silent))
	}
	if want := (LeftOut{250, 250, 500}); r.LeftOut != want || r.Applications != 300 {
		t.Errorf("%+v of %d", r.LeftOut, r.Applications)
	}
	if r.Items[0].Failed != 6 || r.Items[MostItems-1].Failed < 5 {
		t.Error("those that fail are not the first")
	}
	page, err := r.HTML()
	if err != nil || len(page) > 64<<10 || len(r.Markdown()) > 64<<10 || len(r.Text()) > 4<<10 {
		t.Errorf("%d bytes of HTML, %d of Markdown, %d of text; %v", len(page), len(r.Markdown()), len(r.Text()), err)
	}
	if !strings.Contains(r.Markdown(), "And 250 applications more.") {
		t.Error("that some are left out is not said")
	}
}

func TestReport_OfRulesThatWereSilent(t *testing.T) {
	before := from.Add(-time.Hour)
	for name, c := range map[string]struct {
		rule Rule
		pods float64
		want bool
	}{
		"that asked in the period":          {Rule{"a", before, from}, 1, false},
		"that asked before it":              {Rule{"a", before, before}, 1, true},
		"that never asked":                  {Rule{"a", from, time.Time{}}, 1, true},
		"that was never looked at":          {Rule{"a", time.Time{}, time.Time{}}, 1, true},
		"first looked at after the period":  {Rule{"a", to.Add(time.Hour), time.Time{}}, 1, false},
		"of an application without a pod":   {Rule{"a", before, time.Time{}}, 0, false},
		"that asked after the period ended": {Rule{"a", before, to.Add(time.Hour)}, 1, false},
	} {
		a := Application{Rules: []Rule{c.rule}}
		a.PodSeconds = c.pods
		if got := len(made(week, a).Silent) == 1; got != c.want {
			t.Errorf("a rule %s: told %v", name, got)
		}
	}
}

func TestAsked_Wants(t *testing.T) {
	k := fleet.Key{Namespace: "shop", Deployment: "llama"}
	for want, list := range map[bool][]Asked{
		true:  {{}, {Namespace: "shop"}, {Deployments: []string{"x", "llama"}}, {Sees: func(ns string) bool { return ns == "shop" }}},
		false: {{Namespace: "other"}, {Deployments: []string{"x"}}, {Sees: func(string) bool { return false }}},
	} {
		for _, a := range list {
			if a.Wants(k) != want {
				t.Errorf("%+v: %v", a, !want)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"0": number(0), "999": number(999), "1,000": number(1000), "-1,234,567": number(-1234567), "-999": number(-999),
		"0 h": hours(0), "under 0.1 h": hours(60), "0.1 h": hours(360), "99.9 h": hours(99.9 * 3600), "1,234 h": hours(1234.4 * 3600),
		"–": share(1, 0), "0 %": share(0, 5), "0.05 %": share(1, 2000), "< 0.01 %": share(1, 1e6), "> 99.99 %": share(1e6-1, 1e6), "50 %": share(1, 2), "99.99 %": share(9999, 10000), "100 %": share(5, 5),
		"0 ms": took(0), "999 ms": took(999 * time.Millisecond), "1.5 s": took(1500 * time.Millisecond), "2 s": took(2 * time.Second), "61 s": took(61 * time.Second), "10 min": took(10 * time.Minute), "3.5 h": took(210 * time.Minute), "36 h": took(36 * time.Hour),
		"a week": length(168 * time.Hour), "a day": length(24 * time.Hour), "3 days": length(72 * time.Hour), "1 hour": length(time.Hour), "25 hours": length(25 * time.Hour),
		`\# a`: escaped("# a"), `a # b`: escaped("a # b"), "a b": escaped("a\nb"), "ab": escaped("a\x00\u009bb"), `\<b\>`: escaped("<b>"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// The last day, asked for at any minute of an hour, is a day.
func TestLength_HasNoMinutes(t *testing.T) {
	for d := 24 * time.Hour; d < 25*time.Hour; d += time.Minute {
		if got := length(d); got != "a day" {
			t.Errorf("%v: %q", d, got)
		}
	}
	if got := length(168*time.Hour + 59*time.Minute); got != "a week" {
		t.Errorf("%q", got)
	}
}
