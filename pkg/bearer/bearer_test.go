package bearer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/fault"
	"github.com/nemesis-scaling/nemesis/pkg/figures"
	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
)

// diary is a log that a test reads.
type diary struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.Write(p)
}

func (d *diary) count(text string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.b.String(), text)
}

func token(t *testing.T, text string) (*Token, string, *diary) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if text != "" {
		write(t, file, text)
	}
	d := &diary{}
	return New(Options{File: file, Log: slog.New(slog.NewTextHandler(d, nil))}), file, d
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// other answers as a test says, and notes which credentials came.
type other struct {
	answer func(w http.ResponseWriter, r *http.Request)
	came   []http.Header
}

func (o *other) RoundTrip(r *http.Request) (*http.Response, error) {
	o.came = append(o.came, r.Header.Clone())
	w := httptest.NewRecorder()
	if o.answer != nil {
		o.answer(w, r)
	}
	return w.Result(), nil
}

func ask(t *testing.T, through http.RoundTripper, method, path string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://controller"+path, http.NoBody)
	r.RequestURI, r.Header = "", header
	answer, err := through.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func TestText_FollowsTheFileAsTheKubeletWritesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, file, d := token(t, "")
		if k.Text() != "" || len(k.Trouble()) != 1 || !strings.Contains(k.Trouble()[0], file) {
			t.Errorf("without a file: %q, %v", k.Text(), k.Trouble())
		}
		for range 5 {
			time.Sleep(readEvery)
			k.Text()
		}
		if d.count("there is no file") != 1 || d.count("authentication is optional") != 1 {
			t.Errorf("said:\n%s", &d.b)
		}
		write(t, file, "one\n")
		time.Sleep(readEvery)
		if k.Text() != "one" || len(k.Trouble()) != 0 || d.count("is there") != 1 {
			t.Errorf("%q, %v:\n%s", k.Text(), k.Trouble(), &d.b)
		}
		write(t, file, "two")
		time.Sleep(readEvery - 1)
		if k.Text() != "one" {
			t.Error("it is read too often")
		}
		time.Sleep(time.Nanosecond)
		if k.Text() != "two" {
			t.Error("it is not read anew")
		}
	})
}

func TestText_WhatIsNoTokenIsNotSentAndAnOldOneIsToItsEnd(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"empty":         {" \n", "is empty"},
		"two lines":     {"a\nb", "something else than one token"},
		"not ASCII":     {"tökén", "something else"},
		"a header more": {"a\r\nX-Evil: 1", "something else"},
		"too long":      {strings.Repeat("x", maxToken+1), "more than 8192 bytes"},
	} {
		synctest.Test(t, func(t *testing.T) {
			k, file, _ := token(t, c.text)
			if k.Text() != "" || !strings.Contains(strings.Join(k.Trouble(), ""), c.says) {
				t.Errorf("%s: %q, %v", name, k.Text(), k.Trouble())
			}
			write(t, file, "good")
			time.Sleep(readEvery)
			if k.Text() != "good" {
				t.Errorf("%s: then a good one: %q", name, k.Text())
			}
			write(t, file, c.text)
			time.Sleep(readEvery)
			if k.Text() != "good" || len(k.Trouble()) != 1 {
				t.Errorf("%s: after a good one: %q, %v", name, k.Text(), k.Trouble())
			}
		})
	}
	folder := New(Options{File: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if folder.Text() != "" || len(folder.Trouble()) != 1 {
		t.Errorf("a folder: %v", folder.Trouble())
	}
	none := New(Options{Log: slog.New(slog.DiscardHandler)})
	if none.Text() != "" || len(none.Trouble()) != 0 {
		t.Errorf("without a setting there is nothing to miss: %v", none.Trouble())
	}
}

func TestTo_SendsTheTokenButWhereAnotherOnesGoes(t *testing.T) {
	k, _, _ := token(t, "mine")
	o := &other{}
	through := k.To("the controller")(o)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://controller/v1/routes", http.NoBody)
	if _, err := through.RoundTrip(r); err != nil {
		t.Fatal(err)
	}
	if r.Header.Get(Header) != "" {
		t.Error("the request that was handed in has been changed")
	}
	ask(t, through, http.MethodPut, "/", http.Header{Header: {"Bearer theirs"}})
	ask(t, through, http.MethodPut, "/", http.Header{Priority: {"Bearer theirs"}})
	for _, theirs := range []string{"passed on", ""} {
		r := httptest.NewRequestWithContext(Instead(t.Context(), theirs), http.MethodPut, "http://controller/", http.NoBody)
		if _, err := through.RoundTrip(r); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, h := range o.came {
		got = append(got, h.Get(Header)+"|"+h.Get(Priority))
	}
	if want := "Bearer mine| Bearer theirs| |Bearer theirs Bearer passed on| |"; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
}

func TestTo_ARedirectDoesNotTakeTheTokenElsewhere(t *testing.T) {
	k, _, _ := token(t, "mine")
	var there []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { there = append(there, r.Header.Get(Header)) }))
	defer elsewhere.Close()
	here := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer here.Close()
	client := httpclient.New(httpclient.Options{Wrap: k.To("the controller")})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, here.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if len(there) != 1 || there[0] != "" {
		t.Errorf("elsewhere came %q", there)
	}
}

func refuse(code fault.Code, detail string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) { fault.Write(w, r, fault.New(code, "%s", detail)) }
}

func TestRefusals_AreSaidOnceCountedAndForgottenWhenTheyEnd(t *testing.T) {
	k, _, d := token(t, "mine")
	o := &other{answer: refuse(fault.Unauthenticated, "the token expired at noon")}
	through := k.To("the controller")(o)
	for _, name := range []string{"a", "b", "c"} {
		answer := ask(t, through, http.MethodPost, "/v1/namespaces/"+name+"/deployments/x/start", http.Header{})
		if body, err := io.ReadAll(answer.Body); err != nil || !bytes.Contains(body, []byte(`"code":"unauthenticated"`)) {
			t.Errorf("the body is gone: %s %v", body, err)
		}
	}
	o.answer = refuse(fault.Forbidden, "reports are for load balancers")
	ask(t, through, http.MethodPost, "/v1/traffic", http.Header{})
	o.answer = nil
	ask(t, through, http.MethodGet, "/v1/routes", http.Header{}) // another operation that goes well says nothing of these
	trouble := strings.Join(k.Trouble(), "\n")
	for _, says := range []string{"POST /v1/namespaces with the token of", "401, the token expired at noon", "POST /v1/traffic", "403, reports are for load balancers"} {
		if !strings.Contains(trouble, says) || d.count(says) != 1 {
			t.Errorf("%q: said %d times; trouble:\n%s", says, d.count(says), trouble)
		}
	}
	if strings.Contains(trouble, "/a/") || d.count("mine") != 0 {
		t.Errorf("it says too much:\n%s", &d.b)
	}
	page := string(figures.Text(k.Figures()))
	for _, line := range []string{`nemesis_token_refusals_total{status="401"} 3`, `nemesis_token_refusals_total{status="403"} 1`, "nemesis_token_sent 1"} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("%q is not in\n%s", line, page)
		}
	}
	o.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	ask(t, through, http.MethodPost, "/v1/traffic", http.Header{})
	if len(k.Trouble()) != 2 {
		t.Errorf("a fault of the other side's own ends no refusal: %v", k.Trouble())
	}
	o.answer = nil
	ask(t, through, http.MethodPost, "/v1/traffic", http.Header{})
	ask(t, through, http.MethodPost, "/v1/namespaces/z", http.Header{})
	if len(k.Trouble()) != 0 || d.count("lets this service again") != 2 {
		t.Errorf("%v:\n%s", k.Trouble(), &d.b)
	}
}

func TestRefusals_WithoutATokenSaySo(t *testing.T) {
	k, _, _ := token(t, "")
	through := k.To("the controller")(&other{answer: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "<html>")
	}})
	ask(t, through, http.MethodPost, "/metrics", http.Header{})
	if all := strings.Join(k.Trouble(), "\n"); !strings.Contains(all, "without a token: 401, it does not say why") || !strings.Contains(all, "token-file: there is no file") {
		t.Error(all)
	}
}

func TestRefusals_AreBounded(t *testing.T) {
	k, _, _ := token(t, "mine")
	through := k.To("the controller")(&other{answer: refuse(fault.Forbidden, strings.Repeat("x", 4000))})
	for i := range 3 * maxRefused {
		ask(t, through, http.MethodGet, "/v"+strings.Repeat("1", i+1), http.Header{})
	}
	all := k.Trouble()
	if len(all) != maxRefused || len(all[0]) > maxDetail+300 {
		t.Errorf("%d refusals are kept, of %d bytes", len(all), len(all[0]))
	}
	if s := k.State(); s.Forbidden != 3*maxRefused {
		t.Errorf("%+v", s)
	}
}

// A token that was not taken may have been replaced already: it is looked for sooner, and not each time.
func TestText_IsReadSoonAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, file, _ := token(t, "old")
		o := &other{answer: refuse(fault.Unauthenticated, "expired")}
		through := k.To("the controller")(o)
		ask(t, through, http.MethodGet, "/v1/routes", http.Header{})
		write(t, file, "new")
		time.Sleep(readSoon - 1)
		ask(t, through, http.MethodGet, "/v1/routes", http.Header{})
		time.Sleep(time.Nanosecond)
		ask(t, through, http.MethodGet, "/v1/routes", http.Header{})
		if last := o.came[2].Get(Header); o.came[1].Get(Header) != "Bearer old" || last != "Bearer new" {
			t.Errorf("%v", o.came)
		}
	})
}

// A body that breaks off within what is looked at breaks off for the reader too.
func TestDetail_KeepsTheEndOfABody(t *testing.T) {
	broken := errors.New("broken off")
	answer := &http.Response{StatusCode: http.StatusForbidden, Body: io.NopCloser(io.MultiReader(strings.NewReader("half"), failing{broken}))}
	if why := detail(answer); why != "it does not say why" {
		t.Error(why)
	}
	if got, err := io.ReadAll(answer.Body); string(got) != "half" || !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
	long := strings.Repeat("y", 3*maxBody)
	answer = &http.Response{StatusCode: http.StatusForbidden, Body: io.NopCloser(strings.NewReader(long))}
	detail(answer)
	if got, err := io.ReadAll(answer.Body); string(got) != long || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestTo_PassesAFaultOfTheWayOn(t *testing.T) {
	k, _, _ := token(t, "mine")
	away := errors.New("away")
	_, err := k.To("the controller")(wayward{away}).RoundTrip(httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://x/", http.NoBody))
	if !errors.Is(err, away) || len(k.Trouble()) != 0 {
		t.Errorf("%v, %v", err, k.Trouble())
	}
}

type wayward struct{ err error }

func (w wayward) RoundTrip(*http.Request) (*http.Response, error) { return nil, w.err }
