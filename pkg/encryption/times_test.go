package encryption

import (
	"testing"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/testauthority"
)

func TestTimes_AreOfWhatOthersCanVerify(t *testing.T) {
	c, err := NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Times(); got != nil {
		t.Errorf("of a provisional one: %+v", got)
	}
	pair := testauthority.New(t).Issue("a.test")
	c.Use(pair)
	got := c.Times()
	if len(got) != 1 || got[0].Use != "port" || !got[0].Begins.Equal(pair.Leaf.NotBefore) || !got[0].Ends.Equal(pair.Leaf.NotAfter) || !got[0].Ends.After(time.Now()) {
		t.Errorf("got %+v", got)
	}
}

func TestBundled_LeavesOutWhatIsNoCertificate(t *testing.T) {
	a := testauthority.New(t)
	bad := "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	for text, want := range map[string]int{
		"": 0, "no PEM": 0, bad: 0, string(a.Bundle()): 1, bad + string(a.Bundle()) + "and some words\n" + string(a.Bundle()): 2,
	} {
		got := Bundled([]byte(text))
		if len(got) != want {
			t.Errorf("%.60q: %d, want %d", text, len(got), want)
		}
		if times := TimesOf("authority", got...); len(times) != want || want > 0 && times[0].Use != "authority" {
			t.Errorf("%.60q: %+v", text, times)
		}
	}
}
