package elastic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"

	"github.com/nemesis-scaling/nemesis/pkg/httpclient"
)

// ErrOpenSearch is a server that is an OpenSearch: it has other licences, other templates, and clients of
// its own.
var ErrOpenSearch = errors.New("this is an OpenSearch and no Elasticsearch: the log cannot be kept there")

// Check asks the server what it is. It is ErrOpenSearch for one that says so, and nil for all else: what
// does not answer, or must not, is found out in another way.
func (c *Client) Check(ctx context.Context) error {
	if c.distribution(ctx) == "opensearch" {
		return ErrOpenSearch
	}
	return nil
}

// maxRoot bounds the answer to the question what a server is, in bytes.
const maxRoot = 64 << 10

// distribution is what the server says of itself; Elasticsearch says nothing. The client would not hand
// out the answer of another server, so it is asked by the way beneath.
func (c *Client) distribution(ctx context.Context) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.options.URLs[0], http.NoBody)
	if err != nil {
		return ""
	}
	answer, err := c.transport.RoundTrip(r)
	if err != nil {
		return ""
	}
	defer func() { _ = answer.Body.Close() }()
	var root struct {
		Version struct{ Distribution string }
	}
	if body, err := httpclient.ReadAll(answer.Body, maxRoot); err == nil {
		_ = json.Unmarshal(body, &root) // some other answer says nothing
	}
	return root.Version.Distribution
}

// overruled says when a template of another hand wins over ours for a stream: its documents get other
// fields, silently.
func (s *setup) overruled(ctx context.Context, ours, stream string) error {
	winner, err := s.c.simulated(ctx, ours, stream)
	switch {
	case err != nil:
		return s.stop("index template "+ours, err.Error())
	case winner != "":
		s.say("index template "+ours, Overruled, winner+" wins for "+stream+", whose documents get its fields and are not found well: give it a lower priority than ours, or other patterns")
	}
	return nil
}

// Overruled names the templates of another hand that win over ours for the streams of a namespace; ""
// when none does, or nobody says. A stream that is there names its template to who may read it; else who
// may look at templates asks what a new one would get.
func (c *Client) Overruled(ctx context.Context, namespace string) (string, error) {
	for i, dataset := range []string{AccessDataset, ScalingDataset} {
		ours, stream := indexTemplates[i], Stream(dataset, namespace)
		winner, known, err := c.templateOf(ctx, ours, stream)
		if err == nil && !known {
			winner, err = c.simulated(ctx, ours, stream)
		}
		switch {
		case err != nil:
			return "", err
		case winner != "":
			return winner + " wins for " + stream + ", whose documents get its fields and are not found well; log-setup says more", nil
		}
	}
	return "", nil
}

// templateOf names the template that a stream follows, if that is another than ours; known is whether
// the server has said.
func (c *Client) templateOf(ctx context.Context, ours, stream string) (winner string, known bool, err error) {
	status, body, err := c.ask(ctx, plain{method: http.MethodGet, path: "/_data_stream/" + stream + "?filter_path=data_streams.template"})
	if err != nil {
		return "", false, err
	}
	var found struct {
		Streams []struct{ Template string } `json:"data_streams"`
	}
	_ = json.Unmarshal(body, &found) // another answer names none
	if status != http.StatusOK || len(found.Streams) != 1 || found.Streams[0].Template == "" {
		return "", false, nil
	}
	if name := found.Streams[0].Template; name != ours {
		return "the template " + name, true, nil
	}
	return "", true, nil
}

// simulated names the template that a new stream would follow, if that is another than ours. The server
// tells which of the templates that fit it did not take; that it took another is seen by ours being one
// of them.
func (c *Client) simulated(ctx context.Context, ours, stream string) (string, error) {
	status, body, err := c.ask(ctx, plain{method: http.MethodPost, path: "/_index_template/_simulate_index/" + stream})
	if err != nil {
		return "", err
	}
	var simulated struct {
		Overlapping []struct{ Name string }
	}
	_ = json.Unmarshal(body, &simulated) // a server that refuses names none
	if status != http.StatusOK || !slices.ContainsFunc(simulated.Overlapping, func(t struct{ Name string }) bool { return t.Name == ours }) {
		return "", nil
	}
	return c.winner(ctx, ours, stream)
}

// winner names the template that has the highest priority of all that fit a stream.
func (c *Client) winner(ctx context.Context, ours, stream string) (string, error) {
	status, body, err := c.ask(ctx, plain{
		method: http.MethodGet,
		path:   "/_index_template?filter_path=index_templates.name,index_templates.index_template.priority,index_templates.index_template.index_patterns",
	})
	if err != nil {
		return "", err
	}
	var found struct {
		Templates []struct {
			Name     string
			Template struct {
				Patterns []string `json:"index_patterns"`
				Priority int64
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	name, most, mine := "", int64(-1), int64(0)
	if status == http.StatusOK && json.Unmarshal(body, &found) == nil {
		for _, t := range found.Templates {
			if t.Name == ours {
				mine = t.Template.Priority
				continue
			}
			fits := slices.ContainsFunc(t.Template.Patterns, func(pattern string) bool {
				ok, err := path.Match(pattern, stream) // a stream's name has no slash
				return err == nil && ok
			})
			if fits && t.Template.Priority > most {
				name, most = t.Name, t.Template.Priority
			}
		}
	}
	if name == "" {
		return "a template of another hand", nil
	}
	return fmt.Sprintf("the template %s (priority %d; ours has %d)", name, most, mine), nil
}
