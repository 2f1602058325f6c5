package proxy

import (
	"strings"
	"testing"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/balance"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/message"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/traffic/routing"
)

func TestCommonText_IsWhatTheApplicationNames(t *testing.T) {
	x := &exchange{p: &Proxy{}, r: &message.Request{
		Query: "a=1&user=eve%41&user=adam&flag",
		Fields: message.Fields{
			{Name: "x-user", Value: "eve"}, {Name: "X-User", Value: "adam"},
			{Name: "Cookie", Value: "theme=dark; session=abc=; last", Known: message.Cookie}, {Name: "cookie", Value: "other=1", Known: message.Cookie},
		},
	}, peer: Peer{Address: "10.1.2.3"}}
	for _, c := range []struct {
		on   routing.HashOn
		want string
	}{
		{routing.HashOn{Header: "X-USER"}, "eve"},
		{routing.HashOn{Header: "X-None"}, ""},
		{routing.HashOn{Cookie: "session"}, "abc="},
		{routing.HashOn{Cookie: "other"}, "1"},
		{routing.HashOn{Cookie: "last"}, ""},
		{routing.HashOn{Cookie: "them"}, ""},
		{routing.HashOn{Query: "user"}, "eve%41"},
		{routing.HashOn{Query: "use"}, ""},
		{routing.HashOn{ClientAddress: true}, "10.1.2.3"},
		{routing.HashOn{}, ""},
	} {
		if got := x.commonText(&c.on); got != c.want {
			t.Errorf("%+v: %q, want %q", c.on, got, c.want)
		}
	}
	if r := keyed(""); r != (balance.Request{}) {
		t.Errorf("nothing has the key %v", r)
	}
}

func TestPrompt_IsItsBeginning(t *testing.T) {
	long := strings.Repeat("x", 3000)
	chat := `{"model":"m","messages":[{"role":"system","content":"` + long + `"},{"role":"user","content":"%"}]}`
	key := func(body string) uint64 { return keyed(prompt([]byte(body))).Key }
	if key(strings.ReplaceAll(chat, "%", "hello")) != key(strings.ReplaceAll(chat, "%", "goodbye")) || key(chat) == 0 {
		t.Error("two questions behind the same long beginning must have the same key")
	}
	if key(`{"model":"a","prompt":"one"}`) != key(`{"prompt":"one"}`) || key(`{"prompt":"one"}`) == key(`{"prompt":"two"}`) {
		t.Error("the prompt alone counts")
	}
	if key(`{"inputs":"one"}`) == 0 || key(`{"input":["one"]}`) == 0 {
		t.Error("other servers name it otherwise")
	}
	for _, body := range []string{"", "hello", `{"n": 7}`, "\x00\xff"} {
		if key(body) != 0 {
			t.Errorf("%q has no prompt, and a key", body)
		}
	}
}

func TestSession_ItsMarkIsTakenOffForThePod(t *testing.T) {
	fields := message.Fields{{Name: "Accept", Value: "x"}, {Name: "Mcp-Session-Id", Value: "s-1"}}
	mark(fields, "shop-1")
	if fields[0].Value != "x" || !strings.HasPrefix(fields[1].Value, "s-1~") || len(fields[1].Value) != 3+markLength {
		t.Fatalf("marked: %+v", fields)
	}
	for _, c := range fields[1].Value {
		if c < 0x21 || c > 0x7e {
			t.Errorf("%q must be visible ASCII", fields[1].Value)
		}
	}
	r := session(fields)
	if fields[1].Value != "s-1" || r.Pin != balance.Hash("shop-1") || r.Key != balance.Hash("s-1") {
		t.Errorf("the pod gets %q, %+v", fields[1].Value, r)
	}
	if r := session(fields[:1]); r != (balance.Request{}) {
		t.Errorf("without a session: %+v", r)
	}
}

func TestSession_WithoutAMarkStaysAsItIs(t *testing.T) {
	for _, name := range []string{"", "s", "~", "0123456789ab", "x~short", "s-1~not base64", "s-1~AAAAAAAAAA=", "s~AAAAAAAAAAB", strings.Repeat("~", 40)} {
		if got, pod := unmarked(name); got != name || pod != 0 {
			t.Errorf("%q became %q of %x", name, got, pod)
		}
	}
}

func FuzzUnmarked_IsTheReverseOfMarked(f *testing.F) {
	f.Add("s-1", uint64(7))
	f.Add("", uint64(1))
	f.Add("a~b", ^uint64(0))
	f.Fuzz(func(t *testing.T, name string, pod uint64) {
		if got, id := unmarked(marked(name, pod)); got != name || id != pod {
			t.Errorf("%q of %x came back as %q of %x", name, pod, got, id)
		}
		if got, id := unmarked(name); id != 0 && marked(got, id) != name {
			t.Errorf("%q became %q of %x", name, got, id)
		}
	})
}
