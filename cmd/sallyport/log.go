package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
)

func newLogCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "The transparency log of decisions",
		Long: `Every decision is a leaf of an append-only Merkle tree before anyone can act on it. The log
lives beside the other state; its checkpoints are signed notes (C2SP tlog-checkpoint) and its
proofs verify offline.`,
	}
	cmd.AddCommand(newLogInitCommand(a), newLogStatusCommand(a), newLogProveCommand(a), newLogVerifyCommand(a), newLogTailCommand(a),
		newLogAddCommand(a), newLogCheckpointCommand(a))
	return cmd
}

func newLogInitCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var origin string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create the log; refuses if one exists or should exist",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.LogInit(cmd.Context(), opts.opts, origin)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "created log %s\nkey %s\n", st.Origin, st.Key)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&origin, "origin", "", "the log's name, such as example.com/sallyport (default: made from a random number)")
	return cmd
}

func newLogStatusCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Print the log's origin, key and size",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.LogStatus(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, st)
			}
			fmt.Fprintf(a.Stdout, "origin  %s\nkey     %s\nsize    %d\nroot    %s\npending %d\n", st.Origin, st.Key, st.Size, st.Root, st.Pending)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newLogProveCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	cmd := &cobra.Command{
		Use:   "prove DECISION",
		Short: "Print a proof that the log holds a decision",
		Long: `Prove waits for a checkpoint that covers the decision and prints a JSON document that
sallyport log verify --proof checks without the log.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.LogProve(cmd.Context(), opts.opts, args[0])
			if err != nil {
				return err
			}
			return printJSON(a.Stdout, p)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	return cmd
}

func newLogVerifyCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var proof, key, decision string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify the whole log, or one proof offline",
		Long: `Without --proof, recompute the log's tree from its entries, compare it with the newest
checkpoint, with every tree head that was ever relied on and with the decisions recorded.

With --proof FILE --key KEY [--decision DIGEST], verify one proof; nothing else is read.

Exit status: 0 verified, 1 could not verify, 2 does not verify, 64 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if proof == "" {
				st, err := a.LogVerify(cmd.Context(), opts.opts)
				if err != nil {
					return refused(a, err)
				}
				fmt.Fprintf(a.Stdout, "verified: %d entries, %d decisions, root %s\n", st.Size, st.Decisions, st.Root)
				return nil
			}
			if key == "" {
				return usagef("--proof needs --key, the log's public key from a place that you trust")
			}
			b, err := readLimited(a, proof, 1<<20)
			if err != nil {
				return err
			}
			p, err := app.VerifyProof(b, key, sallyport.Digest(decision))
			if err != nil {
				return refused(a, err)
			}
			fmt.Fprintf(a.Stdout, "verified: %s is entry %d of %s, tree size %d\n", p.Digest, p.Index, p.Origin, p.TreeSize)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().StringVar(&proof, "proof", "", "verify the proof in `FILE` (- is standard input)")
	cmd.Flags().StringVar(&key, "key", "", "the log's public `KEY` (a C2SP verifier key)")
	cmd.Flags().StringVar(&decision, "decision", "", "the `DIGEST` that the proof must be about")
	return cmd
}

func newLogTailCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var n int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print the newest decisions",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 1 || n > 10_000 {
				return usagef("-n takes a number from 1 to 10000")
			}
			entries, err := a.LogTail(cmd.Context(), opts.opts, n)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, entries)
			}
			for _, e := range entries {
				index := "pending" // a process was killed before it could append it
				if e.Index != nil {
					index = strconv.FormatUint(*e.Index, 10)
				}
				fmt.Fprintf(a.Stdout, "%7s  %s  %-7s  %-10s  %s  %s\n", index, e.Time, e.Outcome, e.Gate, e.ID, e.Subject)
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	cmd.Flags().IntVarP(&n, "number", "n", 10, "how many")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// refused tells a verification that failed, which is an answer, from one that could not be made.
func refused(a *app.App, err error) error {
	if !errors.Is(err, app.ErrRefused) {
		return err
	}
	printError(a.Stderr, err)
	return exitStatus(sallyport.ExitShut)
}

// readLimited reads a file, or standard input for "-", of at most limit bytes.
func readLimited(a *app.App, name string, limit int64) ([]byte, error) {
	r := a.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: larger than %d bytes", name, limit)
	}
	return b, nil
}
