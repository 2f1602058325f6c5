package app_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// head is the first line and the fields of a message, as they came.
type head struct {
	line   string
	fields []string // "Name: value", or "Name:" without one
}

func field(name, value string) string {
	if value = strings.Trim(value, " \t"); value != "" {
		value = " " + value
	}
	return name + ":" + value
}

// readHead reads a head, and takes nothing but what the grammar has: the readers of this suite must
// not forgive what it looks for.
func readHead(br *bufio.Reader) (head, error) {
	var h head
	for {
		line, err := readLine(br)
		switch {
		case err != nil:
			return h, err
		case h.line == "" && line == "":
			return h, errors.New("an empty line stands where a head was due")
		case h.line == "":
			h.line = line
		case line == "":
			return h, nil
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok || name == "" || strings.ContainsAny(name, " \t") {
				return h, fmt.Errorf("the field line %q", line)
			}
			h.fields = append(h.fields, field(name, value))
		}
	}
}

func readLine(br *bufio.Reader) (string, error) {
	line, err := br.ReadString('\n')
	if err != nil {
		if errors.Is(err, io.EOF) && line != "" {
			err = io.ErrUnexpectedEOF
		}
		return line, err
	}
	line, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsAny(line, "\r\n\x00") {
		return line, fmt.Errorf("the line %q", line)
	}
	return line, nil
}

// values are those of all fields of that name, without regard to upper and lower case.
func (h head) values(name string) []string {
	var all []string
	for _, f := range h.fields {
		if n, value, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			all = append(all, strings.TrimSpace(value))
		}
	}
	return all
}

// status is the code in the first line of an answer.
func (h head) status() (int, error) {
	if len(h.line) < len("HTTP/1.1 200 ") || !strings.HasPrefix(h.line, "HTTP/1.1 ") && !strings.HasPrefix(h.line, "HTTP/1.0 ") || h.line[12] != ' ' {
		return 0, fmt.Errorf("the status line %q", h.line)
	}
	return strconv.Atoi(h.line[9:12])
}

// closes tells whether the message announces that its connection ends behind it.
func (h head) closes() bool {
	for _, v := range h.values("Connection") {
		for word := range strings.SplitSeq(v, ",") {
			switch strings.ToLower(strings.TrimSpace(word)) {
			case "close":
				return true
			case "keep-alive":
				return false
			}
		}
	}
	return strings.HasPrefix(h.line, "HTTP/1.0 ")
}

// lacks says which of the wanted fields are not there as they are wanted, or which are there that
// must not be. A wanted field is "Name: value", as it must be spelled; "-Name" is one that must not
// be there in any spelling.
func (h head) lacks(wanted []string) error {
	at := 0
	for _, w := range wanted {
		if name, ok := strings.CutPrefix(w, "-"); ok {
			if found := h.values(name); len(found) > 0 {
				return fmt.Errorf("%s is there: %q", name, h.fields)
			}
			continue
		}
		i := slices.Index(h.fields[at:], w)
		if i < 0 {
			return fmt.Errorf("%q is not there, or not in its place, in %q", w, h.fields)
		}
		at += i + 1
	}
	return nil
}

// lacksLoosely is lacks without regard to the order and to upper and lower case of names.
func (h head) lacksLoosely(wanted []string) error {
	for _, w := range wanted {
		name, value, _ := strings.Cut(w, ":")
		if strings.HasPrefix(w, "-") {
			if err := h.lacks([]string{w}); err != nil {
				return err
			}
		} else if !slices.Contains(h.values(name), strings.TrimSpace(value)) {
			return fmt.Errorf("%q is not there in %q", w, h.fields)
		}
	}
	return nil
}

// framed gives the reader of the body that follows the head; request tells which rules hold.
func (h head) framed(br *bufio.Reader, request bool, method string) (io.Reader, error) {
	lengths, codings := h.values("Content-Length"), h.values("Transfer-Encoding")
	switch {
	case !request && (method == "HEAD" || strings.HasPrefix(h.line[9:], "1") || strings.HasPrefix(h.line[9:], "204") || strings.HasPrefix(h.line[9:], "304")):
		return strings.NewReader(""), nil
	case len(lengths) > 0 && len(codings) > 0:
		return nil, fmt.Errorf("both lengths in %q", h.fields)
	case len(lengths) > 1 || len(codings) > 1:
		return nil, fmt.Errorf("more than one length in %q", h.fields)
	case len(codings) == 1 && codings[0] != "chunked":
		return nil, fmt.Errorf("the coding %q", codings[0])
	case len(codings) == 1:
		return &chunks{br: br}, nil
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil {
			return nil, err
		}
		return &counted{br, int64(n)}, nil
	case request:
		return strings.NewReader(""), nil
	}
	return br, nil // to the end of the connection
}

// counted is a body of a known length.
type counted struct {
	br   *bufio.Reader
	left int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.br.Read(p[:min(int64(len(p)), c.left)])
	if c.left -= int64(n); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunks is a chunked body, read as strictly as a head.
type chunks struct {
	br      *bufio.Reader
	left    int64
	begun   bool
	ended   bool
	trailer head
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.ended {
		return 0, io.EOF
	}
	if c.left == 0 {
		if err := c.next(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		if c.ended {
			return 0, io.EOF
		}
	}
	n, err := c.br.Read(p[:min(int64(len(p)), c.left)])
	if c.left -= int64(n); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *chunks) next() error {
	if c.begun {
		if err := expectBytes(c.br, "\r\n"); err != nil {
			return err
		}
	}
	c.begun = true
	line, err := readLine(c.br)
	if err != nil {
		return err
	}
	size, err := strconv.ParseUint(line, 16, 63)
	if err != nil {
		return err
	}
	if c.left = int64(size); size > 0 {
		return nil
	}
	for {
		line, err := readLine(c.br)
		if err != nil {
			return err
		}
		if line == "" {
			c.ended = true
			return nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return fmt.Errorf("the trailer line %q", line)
		}
		c.trailer.fields = append(c.trailer.fields, field(name, value))
	}
}
