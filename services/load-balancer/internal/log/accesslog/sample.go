package accesslog

import (
	"fmt"
	"strconv"
	"strings"
)

// Sampler chooses which records are kept. What tells of trouble always is: answers from 500 on,
// refusals, requests that broke off, and those that waited for a wake-up. The zero value keeps all.
type Sampler struct {
	own     map[Application]float64 // rates of single applications
	limited bool                    // else all of the others are kept
	others  float64
}

// maxRates bounds the list of applications with a rate of their own.
const maxRates = 1000

const samplerAllowed = "must be a share from 0 to 1 for all, or namespace/deployment=share for one application, or both with commas between, such as 1,default/shop=0.1; each at most once"

// ParseSampler reads the setting that is named: a rate for all, rates for single applications, or
// both.
func ParseSampler(field, text string) (Sampler, error) {
	rates := map[Application]float64{} // of no application: for all others
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		app, value, ok := Application{}, item, true
		if name, share, own := strings.Cut(item, "="); own {
			value = strings.TrimSpace(share)
			app, ok = applicationOf(strings.TrimSpace(name))
		}
		rate, err := strconv.ParseFloat(value, 64)
		_, twice := rates[app]
		if err != nil || !(rate >= 0 && rate <= 1) || !ok || twice || len(rates) > maxRates { // also refuses NaN
			return Sampler{}, fmt.Errorf("%s: %q is not allowed: %s", field, item, samplerAllowed)
		}
		rates[app] = rate
	}
	var s Sampler
	s.others, s.limited = rates[Application{}]
	delete(rates, Application{})
	if len(rates) > 0 {
		s.own = rates
	}
	return s, nil
}

func applicationOf(name string) (Application, bool) {
	namespace, deployment, ok := strings.Cut(name, "/")
	return Application{Namespace: namespace, Deployment: deployment}, ok && isName(namespace, 63) && isName(deployment, 253)
}

// isName tells whether Kubernetes could have an object of the name.
func isName(s string, limit int) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return s != "" && len(s) <= limit
}

// Keep tells whether the record is kept, and notes in it the share of its like that is. random
// gives a number from 0 to below 1; it is asked only when chance decides.
func (s *Sampler) Keep(r *Record, random func() float64) bool {
	r.SampleRate = 1
	if r.ShownStatus() >= 500 || r.Refusal != "" || r.WakeUp != "" || r.Error != "" {
		return true
	}
	rate := 1.0
	if s.limited {
		rate = s.others
	}
	if s.own != nil {
		if own, ok := s.own[r.Application]; ok {
			rate = own
		}
	}
	if rate < 1 {
		r.SampleRate = rate
	}
	return rate >= 1 || random() < rate
}
