package proxy

import "testing"

// counted counts how often it was told.
type counted struct{ told int }

func (c *counted) Cancel() { c.told++ }

// watched is a client's side of which only the watching counts.
type watched struct {
	Exchanging
	who Canceler
}

func (w *watched) Watch(who Canceler) { w.who = who }

func TestCut_EndsWhatIsSentNowAndWhatIsSentLater(t *testing.T) {
	client, first, second := &watched{}, &counted{}, &counted{}
	c := &cuttable{Exchanging: client}
	c.Watch(first)
	if client.who != first {
		t.Error("a client that goes is not noticed any more")
	}
	c.Watch(nil)
	c.Cut()
	if first.told != 0 {
		t.Error("one that is done was told: its connection may be another exchange's")
	}
	c.Watch(second)
	if second.told != 1 || client.who != second {
		t.Errorf("what is sent after the cut was told %d times", second.told)
	}
	c.Cut()
	c.name(nil)
	c.Cut()
	if second.told != 2 {
		t.Errorf("told %d times, want once for each cut while it was named", second.told)
	}
}
