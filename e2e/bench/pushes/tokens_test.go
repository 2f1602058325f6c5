package main

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestIssuer_SignsSoThatWhatItPublishesVerifies(t *testing.T) {
	i, err := newIssuer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.close)
	var published struct {
		Keys []struct{ Kid, N, E, X, Y string }
	}
	read(t, "http://"+i.address+"/openid/v1/jwks", &published)
	for n, verify := range map[int]func(sum, signature []byte) bool{
		0: func(sum, signature []byte) bool {
			key := &rsa.PublicKey{N: number(t, published.Keys[0].N), E: int(number(t, published.Keys[0].E).Int64())}
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum, signature) == nil
		},
		1: func(sum, signature []byte) bool {
			key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, decode(t, published.Keys[1].X), decode(t, published.Keys[1].Y)))
			return err == nil && ecdsa.Verify(key, sum, new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
		},
	} {
		a := algorithm(published.Keys[n].Kid)
		token, err := i.ofPod(a, 57)
		if err != nil {
			t.Fatal(err)
		}
		signed, signature, _ := cutLast(token)
		sum := sha256.Sum256([]byte(signed))
		if !verify(sum[:], decode(t, signature)) {
			t.Errorf("%s: %s", a, token)
		}
		_, body, _ := strings.Cut(signed, ".")
		if said := string(decode(t, body)); !strings.Contains(said, `"name":"web-7d4b9c-00057"`) || !strings.Contains(said, "serviceaccount:team-7:default") {
			t.Errorf("%s: %s", a, said)
		}
	}
}

func read(t *testing.T, url string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func cutLast(token string) (signed, signature string, ok bool) {
	i := strings.LastIndex(token, ".")
	return token[:i], token[i+1:], i > 0
}

func decode(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func number(t *testing.T, text string) *big.Int {
	t.Helper()
	return new(big.Int).SetBytes(decode(t, text))
}

func TestPusher_SendsTheTokenOfThePodThatItMeasuresAndThenItsNext(t *testing.T) {
	signed := make([]string, 2*pods)
	for i := range signed {
		signed[i] = "first-" + nameOf(i%pods)
		if i >= pods {
			signed[i] = "second-" + nameOf(i%pods)
		}
	}
	p := newPusher(scenario{items: 1}, pods-pods/workers, signed)
	p.pod = pods - 3
	var got []string
	for range 3 {
		p.write()
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(p.request.Bytes())))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(body), nameOf(p.pod)) {
			t.Errorf("%s, %v", body, err)
		}
		got = append(got, r.Header.Get("Authorization"))
	}
	want := "Bearer first-web-7d4b9c-09998, Bearer first-web-7d4b9c-09999, Bearer second-web-7d4b9c-08750"
	if strings.Join(got, ", ") != want {
		t.Errorf("%q", got)
	}
	batch := newPusher(scenario{items: 100}, 0, []string{"collector"})
	for range 2 {
		batch.write()
		if !strings.Contains(batch.request.String(), "\r\nAuthorization: Bearer collector\r\n\r\n{") {
			t.Error(batch.request.String()[:300])
		}
	}
	if nobody := newPusher(scenario{items: 1}, 0, nil); nobody.token() != "" {
		t.Error("a token of nobody")
	}
}
