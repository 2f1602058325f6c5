// Package exposition reads a program's page of metrics, in Prometheus' text format.
package exposition

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Each is called for each sample: its name, its labels as they stand there, braces included ("": none), and its value.
type Each func(name, labels string, value float64)

// Get reads the page at an address.
func Get(ctx context.Context, client *http.Client, url string, each Each) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return read(answer.Body, each)
}

func read(page io.Reader, each Each) error {
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		if name, labels, value, ok := parse(lines.Text()); ok {
			each(name, labels, value)
		}
	}
	return lines.Err()
}

func parse(line string) (name, labels string, value float64, ok bool) {
	if line == "" || line[0] == '#' {
		return "", "", 0, false
	}
	end := strings.LastIndexByte(line, ' ')
	if end < 0 {
		return "", "", 0, false
	}
	value, err := strconv.ParseFloat(line[end+1:], 64)
	name, labels = line[:end], ""
	if open := strings.IndexByte(name, '{'); open >= 0 {
		name, labels = name[:open], name[open:]
	}
	return name, labels, value, err == nil && name != ""
}
