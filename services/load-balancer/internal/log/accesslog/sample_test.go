package accesslog

import (
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func sampler(t *testing.T, text string) Sampler {
	t.Helper()
	s, err := ParseSampler("log-sample", text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func never() float64 { return math.Nextafter(1, 0) }

func TestKeep_KeepsTheShareAndSaysIt(t *testing.T) {
	s := sampler(t, "0.5, default/shop = 0.1,default/all=1,default/none=0")
	random := rand.New(rand.NewPCG(1, 2))
	for deployment, want := range map[string]float64{"shop": 0.1, "all": 1, "none": 0, "other": 0.5} {
		kept, weight := 0, 0.0
		for range 20_000 {
			r := Record{Status: 200, Application: Application{Namespace: "default", Deployment: deployment}}
			if s.Keep(&r, random.Float64) {
				kept++
				weight += 1 / r.rate()
				if r.SampleRate != want {
					t.Fatalf("%s: the rate in the record is %v", deployment, r.SampleRate)
				}
			}
		}
		if got := float64(kept) / 20_000; math.Abs(got-want) > 0.02 {
			t.Errorf("%s: %v kept, want %v", deployment, got, want)
		}
		if want > 0 && math.Abs(weight/20_000-1) > 0.1 {
			t.Errorf("%s: the rates add up to %v of 20000 requests", deployment, weight)
		}
	}
}

func TestKeep_AlwaysKeepsWhatTellsOfTrouble(t *testing.T) {
	s := sampler(t, "0")
	for name, c := range map[string]struct {
		r    Record
		want bool
	}{
		"a good answer":             {Record{Status: 200}, false},
		"a client's mistake":        {Record{Status: 404}, false},
		"an error":                  {Record{Status: 500}, true},
		"a refusal":                 {Record{Status: 404, Refusal: "not-found"}, true},
		"it woke the application":   {Record{Status: 200, WakeUp: "x"}, true},
		"it waited for a free pod":  {Record{Status: 200, Waited: 1}, false},
		"it broke off":              {Record{Status: 200, Error: "x"}, true},
		"the client left before it": {Record{Error: "context canceled"}, true},
	} {
		if got := s.Keep(&c.r, never); got != c.want || got && c.r.SampleRate != 1 {
			t.Errorf("%s: kept %v at %v", name, got, c.r.SampleRate)
		}
	}
}

func TestKeep_OfTheZeroSamplerIsAll(t *testing.T) {
	for _, s := range []Sampler{{}, sampler(t, "1"), sampler(t, "default/other=0")} {
		r := Record{Status: 200}
		if !s.Keep(&r, func() float64 { t.Error("chance is asked"); return 1 }) || r.SampleRate != 1 {
			t.Errorf("not kept, or at %v", r.SampleRate)
		}
	}
}

func TestParseSampler_NamesWhatIsNotAllowed(t *testing.T) {
	for text, item := range map[string]string{
		"": `""`, "2": `"2"`, "-0.1": `"-0.1"`, "NaN": `"NaN"`, "half": `"half"`, "1,": `""`, "0.1,0.2": `"0.2"`, "1,shop=0.1": `"shop=0.1"`, "default/shop=": `"default/shop="`,
		"default/=1": `"default/=1"`, "/shop=1": `"/shop=1"`, "a/b=1,a/b=1": `"a/b=1"`, "a/B=1": `"a/B=1"`, "a/b/c=1": `"a/b/c=1"`, "a/b=2": `"a/b=2"`, "=1": `"=1"`,
	} {
		_, err := ParseSampler("log-sample", text)
		if err == nil || !strings.HasPrefix(err.Error(), "log-sample: "+item+" is not allowed: must be ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseSampler(f *testing.F) {
	f.Add("0.5,default/shop=0.1")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSampler("f", text)
		if err != nil {
			return
		}
		rates := map[Application]float64{}
		maps.Copy(rates, s.own)
		if s.limited {
			rates[Application{Namespace: "of", Deployment: "another name"}] = s.others
		}
		for app, rate := range rates {
			r := Record{Status: 200, Application: app}
			if !(rate >= 0 && rate <= 1) || s.Keep(&r, never) != (rate == 1) {
				t.Errorf("%v at %v", app, rate)
			}
		}
	})
}
