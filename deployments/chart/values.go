package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// valuesTable is a table in Markdown of all values: name, default, and the comment that stands above it. A value
// without a comment is an error. What has no comment of its own but values below it is a heading of theirs.
func valuesTable(values []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return nil, err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it is no map")
	}
	var table bytes.Buffer
	table.WriteString("| value | default | what it says |\n|---|---|---|\n")
	err := rows(&table, "", document.Content[0])
	return table.Bytes(), err
}

func rows(table *bytes.Buffer, prefix string, values *yaml.Node) error {
	var faults []error
	for i := 0; i+1 < len(values.Content); i += 2 {
		key, value := values.Content[i], values.Content[i+1]
		name := prefix + key.Value
		comment := strings.TrimSpace(strings.ReplaceAll(strings.TrimPrefix(key.HeadComment, "# "), "\n# ", " "))
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 && comment == "" {
			faults = append(faults, rows(table, name+".", value))
			continue
		}
		if comment == "" {
			faults = append(faults, fmt.Errorf("%s has no comment that says what it is", name))
		}
		standard, err := compact(value)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
		fmt.Fprintf(table, "| `%s` | %s | %s |\n", name, standard, strings.ReplaceAll(comment, "|", `\|`))
	}
	return errors.Join(faults...)
}

// compact is a default on one line; empty ones are shown as nothing.
func compact(value *yaml.Node) (string, error) {
	var plain any
	if err := value.Decode(&plain); err != nil {
		return "", err
	}
	raw, err := json.Marshal(plain)
	if err != nil {
		return "", err
	}
	if text := string(raw); text != `""` && text != "{}" && text != "[]" {
		return "`" + strings.Trim(text, `"`) + "`", nil
	}
	return "", nil
}
