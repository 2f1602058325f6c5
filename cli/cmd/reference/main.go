// Command reference writes what is said of the command nemesis elsewhere than in its own help: REFERENCE.md and the
// manual pages, from the command line as it is.
//
//	go run ./cmd/reference    # in the module's folder
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/nemesis-scaling/nemesis/cli/internal/command"
)

const head = `# The command nemesis
Written from the command line itself by ` + "`make generate`" + `; [README.md](README.md) tells how it is installed and how it reaches Nemesis.

`

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(folder string) error {
	root := command.Root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	page := bytes.NewBufferString(head)
	if err := markdown(page, root); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "REFERENCE.md"), page.Bytes(), 0o644); err != nil { //nolint:gosec // to be read by everybody
		return err
	}
	manuals := filepath.Join(folder, "man")
	if err := os.RemoveAll(manuals); err != nil { // a verb may have gone
		return err
	}
	if err := os.MkdirAll(manuals, 0o755); err != nil { //nolint:gosec // to be read by everybody
		return err
	}
	date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // not today's: the same command gives the same pages
	return doc.GenManTree(root, &doc.GenManHeader{Title: "NEMESIS", Section: "1", Source: "Nemesis", Manual: "Nemesis", Date: &date}, manuals)
}

// markdown writes a command and those below it, on one page.
func markdown(page *bytes.Buffer, c *cobra.Command) error {
	var one bytes.Buffer
	anchor := func(file string) string { return "#" + strings.ReplaceAll(strings.TrimSuffix(file, ".md"), "_", "-") }
	if err := doc.GenMarkdownCustom(c, &one, anchor); err != nil {
		return err
	}
	text := one.String()
	if c.HasParent() { // the flags of all stand once
		before, rest, found := strings.Cut(text, "### Options inherited from parent commands")
		if _, after, ok := strings.Cut(rest, "### SEE ALSO"); found && ok {
			text = before + "### SEE ALSO" + after
		}
	}
	for line := range strings.Lines(text) {
		page.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() && below.Name() != "help" {
			if err := markdown(page, below); err != nil {
				return err
			}
		}
	}
	return nil
}
