package genai

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// listen is what a tap finds in an answer that comes in parts of the size.
func listen(answer string, size int) Facts {
	var t Tap
	for len(answer) > 0 {
		part := answer[:min(size, len(answer))]
		t.Take([]byte(part))
		answer = answer[len(part):]
	}
	return t.Facts()
}

var long = strings.Repeat(`It said: \"prompt_tokens\": 7, \"model\":\"none\" and went on. `, 1000)

var answers = map[string]struct {
	body string
	want Facts
}{
	"OpenAI, whole": {
		`{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"message":{"role":"assistant","content":"Hi"}}],` +
			`"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":3}}}`,
		Facts{"gpt-4o-mini", 9, 12},
	},
	"OpenAI, indented": {
		"{\n  \"model\" : \"m\",\n  \"usage\" : {\n    \"prompt_tokens\" : 9,\n    \"completion_tokens\" : 12\n  }\n}\n",
		Facts{"m", 9, 12},
	},
	"OpenAI, long": {
		`{"id":"c","model":"qwen","choices":[{"message":{"content":"` + long + `"}}],"usage":{"prompt_tokens":900,"completion_tokens":1200}}`,
		Facts{"qwen", 900, 1200},
	},
	"vLLM, streamed": {
		`data: {"id":"c","model":"meta-llama/Llama-3","choices":[{"delta":{"content":"` + long + `"}}],"usage":null}` + "\n\n" +
			`data: {"id":"c","model":"meta-llama/Llama-3","choices":[],"usage":{"prompt_tokens":5,"total_tokens":47,"completion_tokens":42}}` + "\n\ndata: [DONE]\n\n",
		Facts{"meta-llama/Llama-3", 5, 42},
	},
	"vLLM, counting as it goes": {
		`data: {"model":"m","usage":{"prompt_tokens":5,"completion_tokens":1}}` + "\n\n" + `data: {"model":"m","usage":{"prompt_tokens":5,"completion_tokens":2}}` + "\n\n" +
			`data: {"model":"m","usage":null}` + "\n\n",
		Facts{"m", 5, 2},
	},
	"OpenAI, responses": {
		"event: response.created\n" + `data: {"type":"response.created","response":{"id":"r","model":"gpt-5","usage":null}}` + "\n\n" + long + "\n\n" +
			`data: {"type":"response.completed","response":{"model":"gpt-5","usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":0},"output_tokens":87}}}` + "\n\n",
		Facts{"gpt-5", 36, 87},
	},
	"OpenAI, embeddings": {
		`{"object":"list","data":[{"embedding":[` + strings.Repeat("0.1,", 5000) + `0.1]}],"model":"e5","usage":{"prompt_tokens":8,"total_tokens":8}}`,
		Facts{"e5", 8, 0},
	},
	"Anthropic, whole": {
		`{"id":"msg","type":"message","model":"claude","content":[{"type":"text","text":"Hi"}],"usage":{"input_tokens":2095,"cache_read_input_tokens":1,"output_tokens":503}}`,
		Facts{"claude", 2095, 503},
	},
	"Anthropic, streamed": {
		"event: message_start\n" + `data: {"type":"message_start","message":{"id":"m","model":"claude","usage":{"input_tokens":25,"output_tokens":1}}}` + "\n\n" + long + "\n\n" +
			"event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}` + "\n\n",
		Facts{"claude", 25, 15},
	},
	"Ollama": {
		`{"model":"llama3.2","message":{"content":"` + long + `"},"done":false}` + "\n" +
			`{"model":"llama3.2","done":true,"total_duration":1,"prompt_eval_count":26,"prompt_eval_duration":2,"eval_count":259,"eval_duration":3}` + "\n",
		Facts{"llama3.2", 26, 259},
	},
	"TGI, streamed": {
		`data:{"index":4,"token":{"id":1},"generated_text":"x","details":{"finish_reason":"length","generated_tokens":5,"input_length":10,"seed":null}}` + "\n\n",
		Facts{"", 10, 5},
	},
	"llama.cpp": {`{"content":"x","model":"m.gguf","tokens_predicted":3,"tokens_evaluated":4,"stop":true}`, Facts{"m.gguf", 4, 3}},
	"Gemini": {
		`{"candidates":[],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":6,"totalTokenCount":10},"modelVersion":"gemini-2"}`,
		Facts{"gemini-2", 4, 6},
	},
	"an escaped slash":              {`{"model":"a\/b","usage":{"prompt_tokens":1,"completion_tokens":2}}`, Facts{"a/b", 1, 2}},
	"no language model":             {`{"model":"Trabant","length":3,"input_length":5}`, Facts{}},
	"what is only talked of":        {`{"model":"x","text":"\"prompt_tokens\":5,\"completion_tokens\":6"}`, Facts{}},
	"a number that is none":         {`{"model":"x","prompt_tokens":"5","completion_tokens":1.5,"input_tokens":-3,"output_tokens":99999999999999999999}`, Facts{}},
	"the first model":               {`{"model":"first","choices":[{"model":"second"}],"usage":{"prompt_tokens":5}}`, Facts{"first", 5, 0}},
	"a number that is nothing":      {`{"prompt_tokens":5,"prompt_tokens":,"completion_tokens":2}`, Facts{"", 5, 2}},
	"cut off within the number":     {`{"model":"x","usage":{"prompt_tokens":5,"completion_tokens":12`, Facts{"x", 5, 0}},
	"a model of endless name":       {`{"model":"` + strings.Repeat("x", 500) + `","usage":{"prompt_tokens":5,"completion_tokens":12}}`, Facts{"", 5, 12}},
	"nothing":                       {"", Facts{}},
	"a colon alone":                 {":", Facts{}},
	"a model without a name":        {`{"model":"","prompt_tokens":5}`, Facts{"", 5, 0}},
	"a model that is no text":       {`{"model":{"name":"x"},"prompt_tokens":5}`, Facts{"", 5, 0}},
	"a quote that ends the answer":  {`{"prompt_tokens":5,"model":"x\`, Facts{"", 5, 0}},
	"a name that is much too long":  {`{"` + strings.Repeat("x", 100) + `prompt_tokens":5}`, Facts{}},
	"a name that only ends like it": {`{"no_prompt_tokens":5}`, Facts{}},
}

func TestTap_ReadsWhatEachServerTells(t *testing.T) {
	for name, c := range answers {
		for _, size := range []int{1, 7, 200, tailSize - 1, tailSize, tailSize + 1, 32 << 10, 1 << 20} {
			if got := listen(c.body, size); got != c.want {
				t.Errorf("%s, in parts of %d: %+v, want %+v", name, size, got, c.want)
			}
		}
	}
}

func TestTap_KeepsTheBeginningAndTheEndHoweverTheAnswerIsCut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var tap Tap // one for all, as in a pool
	for range 300 {
		whole := make([]byte, random.IntN(5*tailSize))
		for i := range whole {
			whole[i] = byte(random.Uint32())
		}
		tap.Reset()
		for rest := whole; len(rest) > 0; {
			n := min(1+random.IntN(1+random.IntN(2*tailSize)), len(rest))
			tap.Take(rest[:n])
			rest = rest[n:]
		}
		if got, want := string(tap.head[:tap.headUsed]), string(whole[:min(len(whole), headSize)]); got != want {
			t.Fatalf("of %d bytes the first %d are kept wrongly", len(whole), len(got))
		}
		if got, want := tap.tail[max(tap.tailUsed-tailSize, 0):tap.tailUsed], whole[max(len(whole)-tailSize, 0):]; string(got) != string(want) {
			t.Fatalf("of %d bytes the last %d are kept wrongly", len(whole), len(got))
		}
	}
}

func TestTells_IsOfTheMediaTypeAlone(t *testing.T) {
	for value, want := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true, "Text/Event-Stream": true, "application/x-ndjson ;x": true,
		"": false, "text/html": false, "application/problem+json": false, "application/jsonp": false,
	} {
		if got := Tells(value); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

// Whatever a text within an answer says, only the members themselves count.
func FuzzTap_IsNotFooledByTexts(f *testing.F) {
	f.Add(`"prompt_tokens":5,`, 10)
	f.Add(`\"completion_tokens\": 5}`, 3)
	f.Add(`"model":"x"`, 100)
	f.Fuzz(func(t *testing.T, text string, size int) {
		quotedText, err := json.Marshal(text)
		if err != nil {
			t.Skip()
		}
		body := fmt.Sprintf(`{"model":"m","text":%s,"usage":{"prompt_tokens":11,"completion_tokens":22}}`, quotedText)
		if got := listen(body, max(1, size)); got != (Facts{"m", 11, 22}) {
			t.Errorf("%s gives %+v", body, got)
		}
	})
}

func FuzzTap_TakesAnything(f *testing.F) {
	for _, c := range answers {
		f.Add([]byte(c.body), 100)
	}
	f.Fuzz(func(t *testing.T, body []byte, size int) {
		got := listen(string(body), max(1, size))
		if got.InputTokens < 0 || got.OutputTokens < 0 || len(got.Model) > 3*maxModel {
			t.Errorf("%+v", got)
		}
	})
}

func BenchmarkTap_Take(b *testing.B) {
	for _, size := range []int{200, 32 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var t Tap
			part := make([]byte, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				t.Take(part)
			}
		})
	}
}

func BenchmarkTap_Facts(b *testing.B) {
	for _, name := range []string{"OpenAI, whole", "vLLM, streamed", "no language model"} {
		b.Run(name, func(b *testing.B) {
			var t Tap
			t.Take([]byte(answers[name].body))
			b.ReportAllocs()
			for b.Loop() {
				_ = t.Facts()
			}
		})
	}
}
