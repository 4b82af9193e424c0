package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport-dev/sallyport/internal/model"
	"github.com/sallyport-dev/sallyport/predicate"
)

// ModelRevocation is what was ended.
type ModelRevocation struct {
	Revoked []Spoken     `json:"revoked"`
	Touched ModelTouched `json:"touched"`
}

// RevokeModel ends all entries that name means, each for good.
func (a *App) RevokeModel(ctx context.Context, o Options, name, why, keyRef string) (r ModelRevocation, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		found, err := w.namedModels(ctx, name)
		if err != nil {
			return err
		}
		_, who, err := w.openReviewer(ctx, keyRef)
		if err != nil {
			return err
		}
		for _, v := range found {
			if !w.mayRevoke(v, who) {
				return withHint(fmt.Errorf("%s is neither owner nor author of %s/%s, has not approved it, and does not have the role security", who, v.Provider, v.Name),
					"a person with the role security revokes it")
			}
		}
		for _, v := range found {
			s, err := w.speak(ctx, predicate.ModelStatement{Action: predicate.ModelRevoke, Entry: v.ModelEntry, Justification: why}, keyRef)
			if err != nil {
				return err
			}
			r.Revoked = append(r.Revoked, s)
		}
		r.Touched, err = w.touched(ctx, name, entriesOf(found))
		return err
	})
	return r, err
}

func (w *workspace) mayRevoke(v ModelView, who string) bool {
	return w.modelContext(w.app.now()).Security(who) || v.Owner == who || slices.ContainsFunc(v.Words, func(x model.Word) bool {
		return x.Counts && x.By == who && x.Action != predicate.ModelRevoke
	})
}
