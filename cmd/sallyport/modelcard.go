package main

import (
	"github.com/spf13/cobra"

	"github.com/sallyport-dev/sallyport/internal/app"
	"github.com/sallyport-dev/sallyport/predicate"
)

func newModelImportCommand(a *app.App) *cobra.Command {
	var opts modelAddOptions
	cmd := &cobra.Command{
		Use:   "import FILE PROVIDER/NAME --key KEY [--external URL|--internal URL ...]",
		Short: "Add an entry from an ML-BOM or a model card, and sign it",
		Long: `Import is add with what FILE says of the model: version, licence, data sets, tuning and evaluations of a CycloneDX
ML-BOM (JSON), or of a Hugging Face card (Markdown with YAML at its head). A flag goes before what FILE says. Who may use the
model, where and until when is never read from FILE.

Of a document with several models PROVIDER/NAME, or NAME, says which.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			provider, name, err := splitModel(args[1])
			if err != nil {
				return err
			}
			said, err := a.ReadModelCard(args[0], args[1])
			if err != nil {
				if said, err = a.ReadModelCard(args[0], name); err != nil {
					return err
				}
			}
			e := &opts.entry
			e.Provider, e.Name = provider, name
			known(e, said, cmd.Flags().Changed)
			return addModel(cmd.Context(), a, opts)
		},
	}
	opts.addFlags(cmd)
	return cmd
}

// known fills in what a card says and no flag does.
func known(e *predicate.ModelEntry, said predicate.ModelEntry, stated func(flag string) bool) {
	if !stated("version") && !stated("snapshots") && !stated("latest") {
		e.Version = said.Version
	}
	for flag, fill := range map[string]func(){
		"licence": func() { e.Licence = said.Licence }, "digest": func() { e.Digest = said.Digest }, "notes": func() { e.Notes = said.Notes },
		"dataset": func() { e.Datasets = said.Datasets }, "tuning": func() { e.Tuning = said.Tuning }, "evaluation": func() { e.Evaluations = said.Evaluations },
	} {
		if !stated(flag) {
			fill()
		}
	}
}

func newModelExportCommand(a *app.App) *cobra.Command {
	var opts repoFlags
	cmd := &cobra.Command{
		Use:   "export [MODEL]",
		Short: "Print the registry, or one model, as a CycloneDX ML-BOM",
		Long: `Export writes each entry as a component of the type machine-learning-model with a model card (CycloneDX 1.6, JSON). What the
format has no field for stands in properties whose names begin with sallyport:.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			b, err := a.ExportModels(cmd.Context(), opts.opts, name)
			if err != nil {
				return err
			}
			_, err = a.Stdout.Write(b)
			return err
		},
	}
	opts.addRepoFlags(cmd.Flags())
	opts.addTargetFlags(cmd.Flags())
	return cmd
}
