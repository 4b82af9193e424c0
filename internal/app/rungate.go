package app

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
	"github.com/sallyport-dev/sallyport/internal/run"
	"github.com/sallyport-dev/sallyport/predicate"
)

// runGate returns the prompt gate of a run, under the section prompt of the configuration in force, or nil
// where there is none: then no model is reached. Its record is the run's.
func (w *workspace) runGate(ctx context.Context, rep *RunReport, j runJournal, token string, t *runTraffic) (http.Handler, error) {
	if !w.cfg.Prompt.Used() {
		rep.note("the configuration in force has no section prompt, so that the run reaches no model")
		return nil, nil
	}
	quiet := slog.New(slog.DiscardHandler)
	models, err := w.app.proxyRegistry(ctx, w.opts, ProxyOptions{}, &w.cfg.Prompt)
	if err != nil {
		return nil, err
	}
	parts, err := w.app.proxyGate(&w.cfg.Prompt, models, quiet)
	if err != nil {
		return nil, err
	}
	if models.follow != nil {
		go models.follow(ctx, quiet) // a model that is revoked is refused from then on
	}
	l := w.cfg.Prompt.Limits
	limits := prompt.Limits{RequestsPerMinute: l.RequestsPerMinute, TokensPerDay: l.TokensPerDay, Concurrent: l.Concurrent}
	parts.Auth = runAuth{token, prompt.Caller{
		Principal: sallyport.Principal{Kind: sallyport.Agent, Name: rep.Agent}, Operator: rep.Operator, Run: rep.RunID, Repository: rep.Repository,
		Use: "coding", Key: "run:" + rep.RunID, Session: rep.RunID, Limits: limits,
	}}
	parts.Journal = t.journal(proxyJournal(j))
	return prompt.New(*parts)
}

// runAuth knows one caller: the run.
type runAuth struct {
	token  string
	caller prompt.Caller
}

// Authenticate implements [prompt.Authenticator].
func (a runAuth) Authenticate(_ context.Context, c prompt.Credential) (prompt.Caller, error) {
	if subtle.ConstantTimeCompare([]byte(c.Token), []byte(a.token)) != 1 {
		return prompt.Caller{}, prompt.ErrUnknown
	}
	return a.caller, nil
}

// runTraffic counts what went to models in a run.
type runTraffic struct {
	mu         sync.Mutex
	models     map[predicate.Model]int64
	requests   int64
	refused    int64
	masked     map[string]int64
	tools      map[string]int64 // that models asked for
	commitment string           // to all requests, once the record is sealed
}

func newRunTraffic() *runTraffic {
	return &runTraffic{models: map[predicate.Model]int64{}, masked: map[string]int64{}, tools: map[string]int64{}}
}

type countingJournal struct {
	prompt.Journal
	t *runTraffic
}

func (t *runTraffic) journal(j prompt.Journal) prompt.Journal { return countingJournal{j, t} }

// Append implements [prompt.Journal]. A request with a model for which the statement has no room left is an
// error, so that it is not sent: the merge gate would not hear of that model.
func (c countingJournal) Append(ctx context.Context, r *prompt.Record, body []byte) error {
	if !c.t.room(r) {
		return fmt.Errorf("the run has used %d models, and its statement names no more", maxNamed)
	}
	if err := c.Journal.Append(ctx, r, body); err != nil {
		return err
	}
	c.t.count(r)
	return nil
}

// Bounds of what a statement names; the record has all of it.
const (
	maxNamed = 60
	maxTools = 400
)

// room reports whether the models of a request can all be named, and keeps their places.
func (t *runTraffic) room(r *prompt.Record) bool {
	if r.Kind != prompt.KindRequest {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	more := map[predicate.Model]bool{}
	for _, m := range r.Models {
		k := namedModel(r, m.Name, m.Entry)
		if _, ok := t.models[k]; !ok {
			more[k] = true
		}
	}
	if len(t.models)+len(more) > maxNamed {
		return false
	}
	for k := range more {
		t.models[k] = 0
	}
	return true
}

func namedModel(r *prompt.Record, name string, entry sallyport.Digest) predicate.Model {
	return predicate.Model{Name: name, Provider: r.Provider, Endpoint: r.Endpoint, Entry: string(entry)}
}

func (t *runTraffic) count(r *prompt.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch r.Kind {
	case prompt.KindRefused:
		t.refused++
	case prompt.KindResponse:
		for name, n := range r.Calls {
			if _, ok := t.tools[name]; ok || len(t.tools) < maxTools {
				t.tools[name] += n
			}
		}
	case prompt.KindRequest:
		t.requests++
		for _, m := range r.Models {
			t.models[namedModel(r, m.Name, m.Entry)]++
		}
		for kind, n := range r.Masked {
			if _, ok := t.masked[kind]; ok || len(t.masked) < 900 {
				t.masked[kind] = max(t.masked[kind], int64(n)) // a value stands in every request of a conversation
			}
		}
	}
}

// fill puts what was counted into a statement.
func (t *runTraffic) fill(p *predicate.AgentRun) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, n := range t.models {
		k.Requests = n
		p.Models = append(p.Models, k)
	}
	slices.SortFunc(p.Models, func(a, b predicate.Model) int {
		return strings.Compare(a.Provider+"\x00"+a.Name+"\x00"+a.Endpoint, b.Provider+"\x00"+b.Name+"\x00"+b.Endpoint)
	})
	for _, name := range slices.Sorted(maps.Keys(t.tools)) {
		p.Tools = append(p.Tools, predicate.ToolUse{Name: name, Calls: t.tools[name]})
	}
	if t.requests+t.refused == 0 {
		return
	}
	p.Prompts = &predicate.Prompts{Requests: t.requests, Refused: t.refused, Commitment: t.commitment}
	for _, kind := range slices.Sorted(maps.Keys(t.masked)) {
		p.Prompts.Masked = append(p.Prompts.Masked, predicate.MaskedKind{Kind: kind, Values: t.masked[kind]})
	}
}

// oneLineOf keeps an error from breaking the record's form.
func oneLineOf(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return s[:min(len(s), 500)]
}

var _ run.Journal = runJournal{}
