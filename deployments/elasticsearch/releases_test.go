package main

import (
	"os"
	"strings"
	"testing"
)

func TestJavaVersion_IsTheFeatureRelease(t *testing.T) {
	for text, want := range map[string]int{
		"IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"17.0.15\"\n": 17, "JAVA_VERSION=\"25\"": 25, "JAVA_VERSION=\"1.8.0_402\"": 1, "OS_NAME=\"Linux\"": 0, "": 0,
	} {
		if got := javaVersion(text); got != want {
			t.Errorf("javaVersion(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestFitting_TakesTheOldestJavaThatIsNewEnough(t *testing.T) {
	java := []jdk{{Home: "/11", Version: 11}, {Home: "/25", Version: 25}, {Home: "/17", Version: 17}}
	for _, r := range releases {
		got, ok := fitting(r, java)
		want := map[int]string{17: "/17", 21: "/25"}[r.Java]
		if !ok || got.Home != want {
			t.Errorf("%s runs on %v, %v, want %s", r.Version, got, ok, want)
		}
	}
	if _, ok := fitting(releases[len(releases)-1], java[:1]); ok {
		t.Error("Java 11 was taken")
	}
}

func TestConfiguration_StaysOnThisMachine(t *testing.T) {
	s := Server{Home: "/h", Port: 9, InPods: true}
	text := s.configuration()
	for _, want := range []string{"http.host: [127.0.0.1, 10.87.0.1]", "transport.host: 127.0.0.1", "http.port: 9", "xpack.security.enabled: false"} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
}

func TestRunning_FindsNothingOfAnotherFolder(t *testing.T) {
	s := Server{Home: "/a folder that nobody has", Group: 1}
	if pids := s.running(); len(pids) > 0 {
		t.Errorf("running = %v", pids)
	}
}

func TestConfigure_ListensWhereThereIsAnAddressNow(t *testing.T) {
	s := &Server{Home: t.TempDir(), Port: 9200}
	if err := os.MkdirAll(s.path("program", "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, there := range []bool{true, false, true} { // the cluster goes, and comes back
		if err := s.configure(func(string) bool { return there }); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(s.path("program", "config", "elasticsearch.yml"))
		if err != nil || strings.Contains(string(text), clusterAddress) != there || s.InPods != there {
			t.Errorf("there: %t, and the configuration is\n%s%v", there, text, err)
		}
	}
}
