package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/internal/render"
	"github.com/sallyport-dev/sallyport/predicate"
)

func newModelCommand(a *app.App) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "model",
		Short: "Say which models may be used, and what a model has touched",
		Long: `The model registry, .sallyport/models.yaml, is a governed file: it names the models that may be
used, where they are reached, by whom, for what and until when. An entry counts once a person has
signed it (add) and another has approved it (approve): for an external endpoint a person with the role
security. Whoever revokes one ends it for good, and is told at once what it has touched.`,
	}
	cmd.AddCommand(newModelAddCommand(a), newModelApproveCommand(a), newModelListCommand(a), newModelShowCommand(a),
		newModelCheckCommand(a), newModelRevokeCommand(a), newModelTouchedCommand(a),
		newModelImportCommand(a), newModelExportCommand(a), newModelSignCommand(a), newModelVerifyCommand(a))
	return cmd
}

type modelAddOptions struct {
	repoFlags
	entry              predicate.ModelEntry
	external, internal []string
	datasets, tuning   []string
	evaluations        []string
	key                string
	json               bool
}

func newModelAddCommand(a *app.App) *cobra.Command {
	var opts modelAddOptions
	cmd := &cobra.Command{
		Use:   "add PROVIDER/NAME --key KEY [--external URL|--internal URL ...]",
		Short: "Add an entry to the registry of the work tree, and sign it",
		Long: `Add writes an entry behind those in .sallyport/models.yaml of the work tree, signs it as its author
and keeps the statement with the evidence. Without --external and --internal it signs the entry that
stands there already.

The file counts once it is on the target branch and under the root, as the roster does. The last day
of --expires counts whole, in UTC. --principal, --for-repository and --use say "*" where all are meant.

KEY is as for approval give.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runModelAdd(cmd.Context(), a, opts, args[0]) },
	}
	opts.addFlags(cmd)
	return cmd
}

func (opts *modelAddOptions) addFlags(cmd *cobra.Command) {
	f, e := cmd.Flags(), &opts.entry
	opts.addRepoFlags(f)
	opts.addTargetFlags(f)
	f.StringVar(&e.Version, "version", "", "the one `VERSION` that is meant, such as 20250514")
	f.BoolVar(&e.Snapshots, "snapshots", false, "any version is meant")
	f.BoolVar(&e.Latest, "latest", false, "the name that means the newest version is meant too")
	f.StringArrayVar(&e.Aliases, "alias", nil, "another `NAME` (repeatable)")
	f.StringArrayVar(&e.Patterns, "pattern", nil, "`NAME` with * for letters, digits, dot, hyphen, underscore (repeatable)")
	f.StringArrayVar(&e.Regions, "region", nil, "`PREFIX` of regions that may answer, such as us (repeatable)")
	f.StringVar(&e.Digest, "digest", "", "root `DIGEST` of the manifest of local weights: sallyport model verify prints it")
	f.StringArrayVar(&opts.external, "external", nil, "`URL` below which somebody else offers it (repeatable)")
	f.StringArrayVar(&opts.internal, "internal", nil, "`URL` of this machine or a network of one's own (repeatable)")
	f.StringVar(&e.Licence, "licence", "", "its licence, or where its terms stand")
	f.StringArrayVar(&opts.datasets, "dataset", nil, "`NAME=SOURCE` of data that it was trained on (repeatable)")
	f.StringArrayVar(&opts.tuning, "tuning", nil, "`METHOD=BASE` by which it was made, such as rlhf=PROVIDER/NAME (repeatable)")
	f.StringArrayVar(&opts.evaluations, "evaluation", nil, "`NAME=VALUE` that was measured (repeatable)")
	f.StringVar(&e.Owner, "owner", "", "roster `ID` of who answers for it")
	f.StringArrayVar(&e.Uses, "use", nil, "what it may be used for, a `WORD` (repeatable)")
	f.StringArrayVar(&e.Principals, "principal", nil, "`KIND:NAME` of who may use it, such as agent:claude-code (repeatable)")
	f.StringArrayVar(&e.Repositories, "for-repository", nil, "`PATTERN` of repositories (repeatable)")
	f.StringVar(&e.NotBefore, "not-before", "", "first `DAY`")
	f.StringVar(&e.Expires, "expires", "", "last `DAY`, or a moment in RFC 3339")
	f.StringVar(&e.Notes, "notes", "", "what else is to be known")
	f.StringVar(&opts.key, "key", "", "your `KEY`, as for approval give")
	f.BoolVar(&opts.json, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("key")
}

// splitModel reads PROVIDER/NAME.
func splitModel(s string) (provider, name string, err error) {
	provider, name, ok := strings.Cut(s, "/")
	if !ok || provider == "" || name == "" {
		return "", "", usagef("a model is named PROVIDER/NAME, such as anthropic/claude-sonnet-4; %.100q is not", s)
	}
	return provider, name, nil
}

func runModelAdd(ctx context.Context, a *app.App, opts modelAddOptions, name string) (err error) {
	e := &opts.entry
	if e.Provider, e.Name, err = splitModel(name); err != nil {
		return err
	}
	return addModel(ctx, a, opts)
}

// addModel signs the entry that the flags describe.
func addModel(ctx context.Context, a *app.App, opts modelAddOptions) error {
	e := opts.entry
	for _, u := range opts.external {
		e.Endpoints = append(e.Endpoints, predicate.ModelEndpoint{URL: u, Kind: predicate.EndpointExternal})
	}
	for _, u := range opts.internal {
		e.Endpoints = append(e.Endpoints, predicate.ModelEndpoint{URL: u, Kind: predicate.EndpointInternal})
	}
	for _, d := range opts.datasets {
		name, source, _ := strings.Cut(d, "=")
		e.Datasets = append(e.Datasets, predicate.ModelDataset{Name: name, Source: source})
	}
	for _, t := range opts.tuning {
		method, base, _ := strings.Cut(t, "=")
		e.Tuning = append(e.Tuning, predicate.ModelTuning{Method: method, Base: base})
	}
	for _, v := range opts.evaluations {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return usagef("--evaluation is NAME=VALUE; %.100q is not", v)
		}
		e.Evaluations = append(e.Evaluations, predicate.ModelEvaluation{Name: name, Value: value})
	}
	s, err := a.AddModel(ctx, opts.opts, e, opts.key)
	if err != nil {
		return err
	}
	return printSpoken(a.Stdout, s, "signed", opts.json)
}

func printSpoken(w io.Writer, s app.Spoken, verb string, asJSON bool) error {
	if asJSON {
		return printJSON(w, s)
	}
	fmt.Fprintf(w, "%s %s as %s\nentry %s\nattestation %s\n", verb, render.Clean(s.Model), render.Clean(s.Reviewer), s.Entry, s.Attestation)
	if s.File != "" {
		fmt.Fprintf(w, "added to %s\n", s.File)
	}
	if s.Why != "" {
		fmt.Fprintf(w, "it does not count: %s\n", render.Clean(s.Why))
	}
	fmt.Fprintf(w, "the entry is now: %s\n", modelState(s.State, s.Note))
	return nil
}

func modelState(state, why string) string {
	if why == "" {
		return state
	}
	return state + ": " + render.Clean(why)
}

func newModelApproveCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var key, why, expires string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "approve MODEL --key KEY",
		Short: "Sign that an entry may be used",
		Long: `Approve signs exactly the entry as it stands: changed by one byte it needs another approval. MODEL is
PROVIDER/NAME, or the entry's digest where two entries have the name.

It takes another person than the entry's author and owner, with the role security; for an entry that
has internal endpoints alone, reviewer is enough. The key has to sign at a grade that approvals count at.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var until time.Time
			if expires != "" {
				var err error
				if until, err = day(expires, true); err != nil {
					return err
				}
			}
			s, err := a.ApproveModel(cmd.Context(), opts.opts, args[0], why, until, key)
			if err != nil {
				return err
			}
			return printSpoken(a.Stdout, s, "approved", asJSON)
		},
	}
	f := cmd.Flags()
	opts.addRepoFlags(f)
	opts.addTargetFlags(f)
	f.StringVar(&key, "key", "", "your `KEY`, as for approval give")
	f.StringVar(&why, "justification", "", "why, in `WORDS` for an auditor")
	f.StringVar(&expires, "expires", "", "last `DAY` on which the approval counts (default: the entry's)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("key")
	return cmd
}

func newModelListCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the entries of the registry, with what each is worth",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.ListModels(cmd.Context(), opts.opts)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, list)
			}
			if len(list) == 0 {
				fmt.Fprintln(a.Stdout, "there is no model registry here, or it is empty")
			}
			for _, v := range list {
				fmt.Fprintf(a.Stdout, "%s%s\n  %s\n  %s%s\n", render.Clean(v.Provider+"/"+v.Name), atVersion(v), v.ID, modelState(v.State, v.Why), proposed(v))
			}
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func atVersion(v app.ModelView) string {
	if v.Version == "" {
		return ""
	}
	return "@" + render.Clean(v.Version)
}

func proposed(v app.ModelView) string {
	switch {
	case v.Proposed:
		return " (in the work tree alone: not in force)"
	case !v.Listed:
		return " (no longer listed)"
	}
	return ""
}

func newModelShowCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var asJSON, canonical bool
	cmd := &cobra.Command{
		Use:   "show MODEL",
		Short: "Show one entry, and what persons said about it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := a.ShowModel(cmd.Context(), opts.opts, args[0])
			if err != nil {
				return err
			}
			switch {
			case canonical:
				b, err := v.ModelEntry.Canonical()
				if err != nil {
					return err
				}
				_, err = a.Stdout.Write(b)
				return err
			case asJSON:
				return printJSON(a.Stdout, v)
			}
			printModel(a.Stdout, v)
			return nil
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&canonical, "canonical", false, "print the bytes that the entry's digest is over")
	return cmd
}

func printModel(w io.Writer, v app.ModelView) {
	fmt.Fprintf(w, "%s%s\n  %s\n  %s%s\n", render.Clean(v.Provider+"/"+v.Name), atVersion(v), v.ID, modelState(v.State, v.Why), proposed(v))
	line := func(name string, words ...string) {
		if s := strings.Join(words, ", "); s != "" {
			fmt.Fprintf(w, "  %-12s %s\n", name, render.Clean(s))
		}
	}
	line("aliases", v.Aliases...)
	line("patterns", v.Patterns...)
	line("regions", v.Regions...)
	if v.Snapshots {
		line("versions", "any")
	}
	if v.Latest {
		line("newest", "admitted")
	}
	line("weights", v.Digest)
	for _, p := range v.Endpoints {
		line("endpoint", p.URL+" ("+string(p.Kind)+")")
	}
	line("licence", v.Licence)
	for _, d := range v.Datasets {
		line("dataset", d.Name, d.Source)
	}
	for _, t := range v.Tuning {
		line("tuning", t.Method, t.Base, t.By)
	}
	for _, e := range v.Evaluations {
		line("evaluation", e.Name+" "+e.Metric+" "+e.Value)
	}
	line("owner", v.Owner)
	line("uses", v.Uses...)
	line("principals", v.Principals...)
	line("repositories", v.Repositories...)
	line("from", v.NotBefore)
	line("until", v.Expires)
	line("notes", v.Notes)
	for _, s := range v.Words {
		text := fmt.Sprintf("%s by %s on %s at grade %s", s.Action, s.By, s.Issued, s.Grade)
		if s.Justification != "" {
			text += ": " + s.Justification
		}
		if s.Why != "" {
			text += " (does not count: " + s.Why + ")"
		}
		line("said", text)
	}
}

func newModelCheckCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var q app.ModelQuestion
	var at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check PROVIDER/NAME --endpoint URL --principal KIND:NAME",
		Short: "Decide whether a model may be used",
		Long: `Check asks the registry in force what the prompt gate asks it for each request: may this principal use
this model at this endpoint for this repository? The name is taken as a request would spell it.

Exit status:
  0   it may
  1   no decision could be made; treat it as refused
  2   it may not; the reason is on standard output
  64  the command was used wrongly`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Model = args[0]; q.Endpoint == "" || q.Principal == "" {
				return usagef("a check is about an endpoint and a principal: give --endpoint URL and --principal KIND:NAME")
			}
			if at != "" {
				var err error
				if q.At, err = day(at, false); err != nil {
					return err
				}
			}
			v, err := a.CheckModel(cmd.Context(), opts.opts, q)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(a.Stdout, v)
			} else {
				err = printModelVerdict(a.Stdout, v.Allowed, v.Code, v.Text, v.Hint, v.Model, string(v.Entry))
			}
			if err == nil && !v.Allowed {
				return exitStatus(sallyport.ExitShut)
			}
			return err
		},
	}
	f := cmd.Flags()
	opts.addRepoFlags(f)
	opts.addTargetFlags(f)
	f.StringVar(&q.Provider, "provider", "", "whose interface is spoken, where the model's name does not say it")
	f.StringVar(&q.Endpoint, "endpoint", "", "the `URL` that the request would go to")
	f.StringVar(&q.Principal, "principal", "", "`KIND:NAME` of who asks: person, agent, bot or workload")
	f.StringVar(&q.Operator, "operator", "", "roster `ID` of who started the agent")
	f.StringVar(&q.Repository, "repository", "", "for which `REPOSITORY` (default: this one, as its configuration names it)")
	f.StringVar(&q.Use, "use", "code", "what for, a `WORD`")
	f.StringVar(&at, "at", "", "`DAY` or moment (default: now)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printModelVerdict(w io.Writer, allowed bool, code, text, hint, model, entry string) error {
	if allowed {
		_, err := fmt.Fprintf(w, "allowed\n%s\nentry %s\n", render.Clean(model), entry)
		return err
	}
	_, err := fmt.Fprintf(w, "refused\n\n  %s\n  %s\n", code, render.Clean(text))
	if err == nil && hint != "" {
		_, err = fmt.Fprintf(w, "  next: %s\n", render.Clean(hint))
	}
	return err
}

func newModelRevokeCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var key, why string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "revoke MODEL --reason WORDS --key KEY",
		Short: "End a model for good, and say what it has touched",
		Long: `Revoke signs that the entries that MODEL names are ended, and logs it before it returns: losing the
file does not bring them back, nor does taking the entry out of the registry. It takes a person with the
role security, the entry's owner, its author or whoever approved it.

It answers with the runs, commits, decisions and artifacts that the model has touched, as
sallyport model touched does.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.RevokeModel(cmd.Context(), opts.opts, args[0], why, key)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a.Stdout, r)
			}
			for _, s := range r.Revoked {
				fmt.Fprintf(a.Stdout, "revoked %s as %s\nentry %s\nattestation %s\n", render.Clean(s.Model), render.Clean(s.Reviewer), s.Entry, s.Attestation)
			}
			printTouched(a.Stdout, r.Touched)
			return nil
		},
	}
	f := cmd.Flags()
	opts.addRepoFlags(f)
	opts.addTargetFlags(f)
	f.StringVar(&key, "key", "", "your `KEY`, as for approval give")
	f.StringVar(&why, "reason", "", "why, in `WORDS` for everybody who is refused")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.MarkFlagRequired("key")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}
