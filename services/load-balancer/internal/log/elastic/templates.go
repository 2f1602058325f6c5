package elastic

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/accesslog"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/scalinglog"
)

// The templates say what the documents' fields are and how they are kept. They stand as Elasticsearch
// takes them, so that they can be read, and put by hand, without this program.
//
//go:embed templates/*.json
var templates embed.FS

// The datasets, one stream each; Stream names a stream.
const (
	AccessDataset  = accesslog.Dataset
	ScalingDataset = scalinglog.Dataset
)

// Streams are all that the balancer writes to.
const Streams = "logs-nemesis.*"

// Stream is the name of a dataset's data stream.
func Stream(dataset, namespace string) string { return "logs-" + dataset + "-" + namespace }

var (
	componentTemplates = []string{"logs-nemesis@mappings", "logs-nemesis@settings", "logs-nemesis.access@mappings", "logs-nemesis.scaling@mappings"}
	indexTemplates     = []string{"logs-nemesis.access", "logs-nemesis.scaling"}
)

// template reads one, with the retention in it where it has a lifecycle.
func template(name, retention string) (map[string]any, error) {
	text, err := templates.ReadFile("templates/" + name + ".json")
	if err != nil {
		return nil, err
	}
	var t map[string]any
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if inner, ok := t["template"].(map[string]any); ok && retention != "" {
		if lifecycle, ok := inner["lifecycle"].(map[string]any); ok {
			lifecycle["data_retention"] = retention
		}
	}
	return t, nil
}

// namespaces are what can end the name of a data stream.
var namespaces = regexp.MustCompile(`^[a-z0-9_.]{1,100}$`)

// ValidNamespace tells whether a text can end the name of a data stream.
func ValidNamespace(namespace string) bool { return namespaces.MatchString(namespace) }
