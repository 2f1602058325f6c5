// Package logsetup is the command log-setup: it has Elasticsearch made ready for the documents that load balancers write, and says line by line what was there and what was not. It is
// run once, by a Job or by hand, by someone with more rights than the balancer has; and again at any
// time.
package logsetup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/nemesis-scaling/nemesis/pkg/settings"
	"github.com/nemesis-scaling/nemesis/services/load-balancer/internal/log/elastic"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitRefused = 3 // it is not all as it should be, but documents can be written
)

const usage = `usage: log-setup [FLAG...]

Makes the index templates, the data streams, their retention and the roles of the logs in an
Elasticsearch 8.17 or newer, and says what it found and what it changed. It can be run at any time.

exit code: 0 all is as it should be; 3 the server refused a step, or a template of another hand wins
over these, and documents can be written all the same; 1 it failed; 2 the command line is wrong.

`

type options struct {
	elastic.Settings
	OnlyNamespace    string
	Retention        string
	DryRun           bool
	User             string
	UserPasswordFile string
	WriteKey         string
	ReadKey          string
	Wait             time.Duration
}

// Run runs the command and returns its exit code.
func Run(ctx context.Context, args, environ []string, out, fault io.Writer) int {
	o, err := load(args, environ, fault)
	if errors.Is(err, settings.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprint(fault, usage)
		fmt.Fprintln(fault, err)
		return exitUsage
	}
	client, err := elastic.New(o.Options())
	if err != nil {
		fmt.Fprintln(fault, err)
		return exitFailed
	}
	if o.Wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, o.Wait)
		err := client.Await(waiting)
		cancel()
		if err != nil {
			fmt.Fprintln(fault, "no answer within", o.Wait, "from", o.URL+":", err)
			return exitFailed
		}
	}
	return o.setup(ctx, client, out, fault)
}

func (o options) setup(ctx context.Context, client *elastic.Client, out, fault io.Writer) int {
	wanted := elastic.SetupOptions{Namespace: o.Namespace, Retention: o.Retention, DryRun: o.DryRun}
	if o.UserPasswordFile != "" {
		wanted.User = &elastic.User{Name: o.User, PasswordFile: o.UserPasswordFile}
	}
	if o.WriteKey != "" {
		wanted.Keys = append(wanted.Keys, elastic.Key{Name: "nemesis-writer", Role: elastic.WriterRole, File: o.WriteKey})
	}
	if o.ReadKey != "" {
		wanted.Keys = append(wanted.Keys, elastic.Key{Name: "nemesis-reader", Role: elastic.ReaderRole, File: o.ReadKey})
	}
	count := map[elastic.Outcome]int{}
	err := elastic.Setup(ctx, client, wanted, func(s elastic.Step) {
		count[s.Outcome]++
		fmt.Fprintln(out, line(s, o.DryRun))
	})
	if o.DryRun {
		fmt.Fprintln(out, "Nothing was changed: this was a dry run.")
	}
	switch {
	case err != nil || count[elastic.Failed] > 0:
		fmt.Fprintln(fault, "The set-up failed, see above. Run it again when that is mended.")
		return exitFailed
	case count[elastic.Refused] > 0:
		fmt.Fprintln(fault, "The server refused some of it, see above. Documents can be written without.")
		return exitRefused
	case count[elastic.Overruled] > 0:
		fmt.Fprintln(fault, "A template of another hand wins, see above. Documents can be written, and are not found well.")
		return exitRefused
	}
	return exitOK
}

// line is what is printed of a step.
func line(s elastic.Step, dry bool) string {
	outcome := string(s.Outcome)
	if dry && s.Outcome == elastic.Created {
		outcome = "would create"
	}
	if dry && s.Outcome == elastic.Changed {
		outcome = "would change"
	}
	text := fmt.Sprintf("%-12s  %s", outcome, s.What)
	if s.Note != "" {
		text += ": " + s.Note
	}
	return text
}

// retentions are as Elasticsearch writes lengths of time.
var retentions = regexp.MustCompile(`^[1-9][0-9]{0,5}[dhms]$`)

func load(args, environ []string, out io.Writer) (options, error) {
	var o options
	set := settings.New("log-setup", "NEMESIS_", out)
	o.Declare(set)
	set.String(&o.OnlyNamespace, "namespace", "", "the same as elasticsearch-namespace, which it overrides")
	set.String(&o.Retention, "retention", "30d", "how long documents are kept at least, such as 30d or 12h")
	set.Bool(&o.DryRun, "dry-run", false, "say what would be done, and do nothing")
	set.String(&o.User, "user", "nemesis", "the user that user-password-file is for")
	set.String(&o.UserPasswordFile, "user-password-file", "", "make a user that may write and read the logs and no more, with this password")
	set.String(&o.WriteKey, "output-api-key", "", "make an API key that may only write the logs, and keep it in this file")
	set.String(&o.ReadKey, "output-read-api-key", "", "make an API key that may only read the logs, and keep it in this file")
	set.Duration(&o.Wait, "wait", 0, 0, time.Hour, "how long to wait for the server to answer at all")
	if err := set.Load(args, environ); err != nil {
		return options{}, err
	}
	if o.OnlyNamespace != "" {
		o.Namespace = o.OnlyNamespace
	}
	var faults []error
	if !o.Wanted() {
		faults = append(faults, errors.New("elasticsearch-url: must name at least one node, such as https://elasticsearch:9200"))
	}
	if !retentions.MatchString(o.Retention) {
		faults = append(faults, fmt.Errorf("retention: %q is not allowed: must be a length such as 30d or 12h", o.Retention))
	}
	return o, errors.Join(append(faults, o.Validate())...)
}
