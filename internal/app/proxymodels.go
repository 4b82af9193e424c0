package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
	"github.com/sallyport-dev/sallyport/internal/model"
)

// How the registry of a repository is kept up to date: a revocation that has reached the repository takes
// effect at the next look. A registry that could not be looked at for longer than modelsStale refuses all.
const (
	modelsEvery = 20 * time.Second
	modelsStale = 10 * time.Minute
)

// repositoryModels are the models of a repository's registry, as they are in force there.
type repositoryModels struct {
	now  func() time.Time
	look func(context.Context) (*model.Registry, error)
	last atomic.Pointer[lookedModels]
}

type lookedModels struct {
	registry *model.Registry
	at       time.Time
}

// newRepositoryModels looks once, and returns nil if there is no registry.
func (a *App) newRepositoryModels(ctx context.Context, o Options) (*repositoryModels, error) {
	m := &repositoryModels{now: a.now}
	m.look = func(ctx context.Context) (*model.Registry, error) {
		r, there, err := a.ModelRegistry(ctx, o)
		if err == nil && !there {
			return nil, nil
		}
		return r, err
	}
	r, err := m.look(ctx)
	if err != nil || r == nil {
		return nil, err
	}
	m.last.Store(&lookedModels{r, m.now()})
	return m, nil
}

// follow looks again from time to time, until ctx ends.
func (m *repositoryModels) follow(ctx context.Context, log *slog.Logger) {
	t := time.NewTicker(modelsEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		m.refresh(ctx, log)
	}
}

func (m *repositoryModels) refresh(ctx context.Context, log *slog.Logger) {
	r, err := m.look(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		log.WarnContext(ctx, "the registry of models could not be read again", "error", err)
	default:
		// One that is gone knows no model.
		m.last.Store(&lookedModels{r, m.now()})
	}
}

// Check implements [prompt.Registry].
func (m *repositoryModels) Check(_ context.Context, q prompt.ModelRequest) prompt.Verdict {
	l := m.last.Load()
	if age := m.now().Sub(l.at); age > modelsStale {
		return prompt.Verdict{Code: "registry-undecided", Text: fmt.Sprintf("the registry of models could not be read for %s", age.Round(time.Second)), Hint: "ask whoever runs the gate"}
	}
	if l.registry == nil {
		return prompt.Verdict{Code: "registry-undecided", Text: "the registry of models is gone", Hint: "ask whoever runs the gate"}
	}
	v := l.registry.Check(model.Request{
		Principal: q.Principal, Operator: q.Operator, Repository: q.Repository, Provider: model.Provider(q.Provider),
		Model: q.Model, Endpoint: q.Endpoint, Use: q.Use, Time: q.Time,
	})
	return prompt.Verdict{Allowed: v.Allowed, Code: v.Code, Text: v.Text, Hint: v.Hint, Entry: v.Entry}
}
