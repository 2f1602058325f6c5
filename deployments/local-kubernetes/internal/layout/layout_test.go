package layout

import (
	"strings"
	"testing"
)

func TestNew_GivesEachCacheItsOwnNames(t *testing.T) {
	one, other := New("/one"), New("/other")
	if one.Link() == other.Link() || one.Cgroup() == other.Cgroup() {
		t.Error("two clusters share a name")
	}
	if again := New("/one"); again != one {
		t.Errorf("the names change: %+v, %+v", one, again)
	}
	const longestLinkName = 15 // the kernel's IFNAMSIZ without the final zero
	if len(one.Link()) > longestLinkName {
		t.Errorf("%s is too long for an interface", one.Link())
	}
}

func TestFromEnvironment(t *testing.T) {
	for _, one := range []struct{ own, xdg, home, want string }{
		{"/own", "/xdg", "/home/me", "/own"},
		{"/own/../other/", "", "/home/me", "/other"},
		{"", "/xdg", "/home/me", "/xdg/nemesis"},
		{"", "", "/home/me", "/home/me/.cache/nemesis"},
	} {
		t.Setenv("NEMESIS_CACHE", one.own)
		t.Setenv("XDG_CACHE_HOME", one.xdg)
		t.Setenv("HOME", one.home)
		place, err := FromEnvironment()
		if err != nil {
			t.Fatal(err)
		}
		if place.Cache() != one.want {
			t.Errorf("%+v: %s", one, place.Cache())
		}
		if !strings.HasPrefix(place.Kubeconfig(), one.want+"/cluster/") {
			t.Errorf("the kubeconfig is at %s", place.Kubeconfig())
		}
	}
}

func TestFromEnvironment_RefusesARelativePath(t *testing.T) {
	t.Setenv("NEMESIS_CACHE", "here")
	if _, err := FromEnvironment(); err == nil {
		t.Error("it was accepted")
	}
}
