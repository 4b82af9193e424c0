// Command sallyport governs autonomous coding agents.
//
// Each command is one file: a constructor that wires flags to an options struct, and a run
// function that does the work through internal/app. Standard output holds what was asked for
// and standard error the rest. Exit statuses are those of [sallyport.Decision.ExitStatus];
// wrong usage, a misspelt subcommand included, is 64, and everything that went wrong is 1, so
// that no pipeline reads a mistake as an open gate.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/run/confine"
)

func main() {
	if confine.IsInit(os.Args) {
		os.Exit(confine.Init())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	collectLater()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// firstCollection is the size in bytes of the heap at which the first garbage collection starts.
const firstCollection = 32 << 20

// collectLater spares a short run the collections of a heap that is about to be gone: left to
// itself, Go begins at 4 MiB, and a fifth of what a small check computed went there. From the
// first collection on, memory is as anybody expects. Whoever sets GOGC decides for himself.
func collectLater() {
	if os.Getenv("GOGC") != "" {
		return
	}
	const usual, least = 100, 4 << 20 // see "Heap minimum" in runtime's mgcpacer.go
	debug.SetGCPercent(usual * firstCollection / least)
	runtime.AddCleanup(new([16]byte), func(int) { debug.SetGCPercent(usual) }, 0)
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app.App{Stdin: stdin, Stdout: stdout, Stderr: stderr, Getenv: os.Getenv}
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	printError(stderr, err)
	var usage usageError
	if errors.As(err, &usage) || errors.Is(err, app.ErrUsage) {
		return sallyport.ExitUsage
	}
	return sallyport.ExitUndecided
}

// printError prints one error line and the hint that it carries, if any.
func printError(w io.Writer, err error) {
	fmt.Fprintf(w, "sallyport: error: %s\n", oneLine(err.Error()))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(w, "sallyport: hint: %s\n", oneLine(hint))
	}
}

// hintOf is the next step that an error carries, or empty.
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// oneLine folds what a foreign program or file may have put into an error, so that it cannot
// forge a second line or move the cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || isBidi(r):
			return -1
		}
		return r
	}, strings.TrimSpace(s))
}

func isBidi(r rune) bool {
	return (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) || r == 0x200e || r == 0x200f || r == 0x61c
}

// An exitStatus is an error that has already been told.
type exitStatus int //nolint:errname // an answer, not a failure

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A usageError is a command used wrongly.
type usageError struct {
	err  error
	hint string
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }
func (e usageError) Hint() string  { return e.hint }

func usagef(format string, args ...any) error { return usageError{err: fmt.Errorf(format, args...)} }

// exit turns a status into the error that run expects.
func exit(status int) error {
	if status == 0 {
		return nil
	}
	return exitStatus(status)
}

func newRootCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sallyport",
		Short: "Let nothing that an agent wrote pass without evidence",
		Long: `Sallyport governs autonomous coding agents: nothing that an agent wrote reaches a merge
without evidence that was checked and, where risk asks for it, a person who countersigned
exactly those bytes.

Start here:
  sallyport demo          a story in a temporary folder: an agent's branch meets the gate
  sallyport check merge   judge the change in this checkout
  sallyport run           run an agent under supervision, and seal what it did
  sallyport agent detect  who wrote what, and how that is known
  sallyport init          adopt it in this repository, in observe mode
  sallyport pipeline      scan, test, build, list, sign and judge a release, in one go
  sallyport check release decide whether files that were made from a commit may be published
  sallyport verify        verify what Sigstore clients, cosign, GitHub, npm or gpg signed

Exit status of every command that decides:
  0   the gate is open
  1   no decision could be made; treat the gate as shut
  2   the gate is shut
  3   the gate waits for a person's approval
  64  the command was used wrongly`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(
		newInitCommand(a),
		newCheckCommand(a),
		newExplainCommand(a),
		newAgentCommand(a),
		newApprovalCommand(a), newExceptionCommand(a), newFindingCommand(a),
		newAttestCommand(a),
		newVerifyCommand(a), newSignCommand(a), newTrustCommand(a),
		newBuildCommand(a),
		newScanCommand(a),
		newAdvisoryCommand(a),
		newSBOMCommand(a), newModelCommand(a),
		newProxyCommand(a),
		newMaskCommand(a),
		newPipelineCommand(a), newRebuildCommand(a), newCompareCommand(a),
		newEvidenceCommand(a), newRecordCommand(a),
		newPolicyCommand(a),
		newRootTrustCommand(a),
		newDataCommand(a),
		newLogCommand(a),
		newKeyCommand(a), newRunCommand(a),
		newHookCommand(a),
		newDoctorCommand(a),
		newDemoCommand(a),
		newVersionCommand(a),
		newConformanceCommand(a),
		newCompletionCommand(),
	)
	cmd.SetHelpCommand(newHelpCommand())
	cmd.InitDefaultHelpCmd() // before guard, which looks at every command
	guard(cmd)
	return cmd
}

// guard makes every command fail on words that it does not know. Cobra prints help and exits 0
// for a misspelt subcommand (approval giv), which a pipeline would read as an open gate.
func guard(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return wrongUse(c, err) })
	if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, words []string) error {
			if err := args(c, words); err != nil {
				return wrongUse(c, fmt.Errorf("wrong arguments: %w", err))
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(c *cobra.Command, words []string) error {
			if len(words) == 0 {
				_ = c.Help()
				return exitStatus(sallyport.ExitUsage)
			}
			return unknownCommand(c, words[0])
		}
	} else {
		cmd.PreRunE = func(c *cobra.Command, _ []string) error {
			err := c.ValidateRequiredFlags()
			if err == nil {
				err = c.ValidateFlagGroups()
			}
			if err != nil {
				return wrongUse(c, err)
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		guard(sub)
	}
}

// wrongUse shows how the command is used.
func wrongUse(c *cobra.Command, err error) error {
	usage := strings.TrimSuffix(c.UseLine(), " [flags]")
	return usageError{err: err, hint: usage + " (more: " + c.CommandPath() + " --help)"}
}

func unknownCommand(c *cobra.Command, word string) error {
	e := usageError{err: fmt.Errorf("unknown command %q for %q", word, c.CommandPath()), hint: c.CommandPath() + " --help"}
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(word); len(near) > 0 {
		e.hint = "did you mean " + c.CommandPath() + " " + near[0] + "?"
	}
	return e
}

// newHelpCommand replaces cobra's, which prints the root's help and exits 0 for a command that
// does not exist.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]...",
		Short: "Show what a command is for",
		RunE: func(cmd *cobra.Command, args []string) error {
			c := cmd.Root()
			for _, word := range args {
				sub := c
				for _, s := range c.Commands() {
					if s.Name() == word {
						sub = s
					}
				}
				if sub == c {
					return unknownCommand(c, word)
				}
				c = sub
			}
			return c.Help()
		},
	}
}
