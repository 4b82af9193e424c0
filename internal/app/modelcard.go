package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/model/card"
	"github.com/sallyport-dev/sallyport/predicate"
)

// ReadModelCard returns what a file says of one model: the one of that name, if it says something of several.
func (a *App) ReadModelCard(file, name string) (predicate.ModelEntry, error) {
	b, err := readLimit(file, card.MaxSize)
	if err != nil {
		return predicate.ModelEntry{}, fmt.Errorf("read the model card: %w", err)
	}
	list, err := card.Read(b)
	if err != nil {
		return predicate.ModelEntry{}, withHint(fmt.Errorf("%s: %w", file, err), "it takes CycloneDX in JSON, or a card of Hugging Face with its front matter")
	}
	if len(list) == 1 {
		return list[0], nil
	}
	var names []string
	for _, e := range list {
		full := strings.TrimPrefix(e.Provider+"/"+e.Name, "/")
		if name != "" && (name == full || name == e.Name) {
			return e, nil
		}
		names = append(names, full)
	}
	slices.Sort(names)
	return predicate.ModelEntry{}, withHint(fmt.Errorf("%s has %d models and none is called %.100q", file, len(list), name), "they are "+strings.Join(names[:min(20, len(names))], ", "))
}

// ExportModels writes the registry, or the entries that name means, as a CycloneDX ML-BOM.
func (a *App) ExportModels(ctx context.Context, o Options, name string) (b []byte, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		var list []ModelView
		if name == "" {
			list, err = w.modelViews(ctx)
		} else {
			list, err = w.namedModels(ctx, name)
		}
		if err != nil {
			return err
		}
		var models []card.Model
		for _, v := range list {
			state := v.State
			if v.Proposed {
				state = "proposed"
			}
			models = append(models, card.Model{ModelEntry: v.ModelEntry, State: state})
		}
		b, err = card.CycloneDX(models, a.now(), Version())
		return err
	})
	return b, err
}
