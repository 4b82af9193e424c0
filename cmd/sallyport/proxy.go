package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
)

func newProxyCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	var po app.ProxyOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Stand between agents and their models: approve, mask, record, forward",
		Long: `Proxy is the prompt gate: an HTTP gateway for the Anthropic, OpenAI and Gemini APIs. For each
request it finds out who asks and whether the model is approved for them, takes out secrets, writes
the record, and only then forwards it with the vendor's key, which the agent never sees.

What it lets pass stands in the section prompt of sallyport.yaml. It is read where it governs, on
the target branch, since an agent can write what lies in the work tree; or from --config FILE, with
--record FOLDER for the record. docs/prompt-gate.md gets each known agent going.

  sallyport proxy key                      make a virtual key for an agent
  sallyport proxy --config gate.yaml --record /var/lib/sallyport/record
  ANTHROPIC_BASE_URL=http://127.0.0.1:8788 ANTHROPIC_API_KEY=THE-KEY claude

It prints one line once it listens (--json: one JSON object), and runs until it is told to stop by
SIGINT or SIGTERM; what runs then has its time to end.

Exit status: 0 stopped as told, 1 it could not start or had to end, 64 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			po.Started = func(s app.ProxyStarted) error {
				for _, advice := range s.Advice {
					fmt.Fprintf(a.Stderr, "sallyport: note: %s\n", oneLine(advice))
				}
				if asJSON {
					return printJSON(a.Stdout, s)
				}
				_, err := fmt.Fprintf(a.Stdout, "listening on %s for %s, %d keys, record %s\n", s.Listening, strings.Join(s.Providers, ", "), s.Keys, s.Record)
				return err
			}
			return a.Proxy(cmd.Context(), opts.opts, po)
		},
	}
	opts.addRepoFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&opts.opts.Target.Ref, "target", "", "the `REF` whose configuration is in force (default: the remote's default branch)")
	f.StringVar(&po.Config, "config", "", "the configuration `FILE`, instead of the one that governs the repository")
	f.StringVar(&po.Listen, "listen", "", "listen at `ADDRESS:PORT` of this machine, or at unix:PATH (default: prompt.listen, else 127.0.0.1:8788)")
	f.StringVar(&po.Record, "record", "", "keep the record in this `FOLDER` (default: proxy/record in the state folder)")
	f.StringVar(&po.Name, "name", "proxy", "the gateway's `NAME` in the record")
	f.BoolVar(&asJSON, "json", false, "print one JSON object once it listens")
	cmd.AddCommand(newProxyKeyCommand(a))
	return cmd
}

func newProxyKeyCommand(a *app.App) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make a virtual key, and the configuration that knows it by its hash",
		Long: `Key makes a virtual key: what an agent is given instead of the vendor's. The key is printed once
and kept nowhere; the configuration holds its hash.

Exit status: 0 made, 64 wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			k := app.NewProxyKey()
			if asJSON {
				return printJSON(a.Stdout, k)
			}
			_, err := fmt.Fprintf(a.Stdout, `%s

Give it to the agent as its API key; it is kept nowhere. In prompt.keys of sallyport.yaml:
    - name: CHANGE-ME
      hash: %s
      principal: agent:CHANGE-ME
`, k.Key, k.Hash)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
