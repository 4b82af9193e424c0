package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/model"
	"github.com/sallyport-dev/sallyport/predicate"
)

// ModelRegistry returns a snapshot of the models that may be used by what is in force for o's target, and
// whether there is a registry at all. What is asked later than a change of the governed files or of the
// evidence needs another.
func (a *App) ModelRegistry(ctx context.Context, o Options) (r *model.Registry, there bool, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		r, err = w.registry(ctx)
		there = w.models != nil
		return err
	})
	return r, there, err
}

// registry judges the entries in force. Where somebody else keeps the log, a revocation that it holds has to
// be at hand.
func (w *workspace) registry(ctx context.Context) (*model.Registry, error) {
	if err := w.external(ctx); err != nil {
		return nil, err
	}
	evidence, err := w.verifiedAbout(ctx, nil)
	if err != nil {
		return nil, err
	}
	return model.New(w.models, evidence, w.modelContext(w.app.now()))
}

func (w *workspace) modelContext(at time.Time) model.Context {
	return model.Context{
		Repository: w.repository(), Now: at, Grades: w.data.ApprovalGrades, Solo: w.gov.Trust.Solo, Stands: w.stands,
		Security: func(p string) bool { return w.roster.HasRole(p, identity.RoleSecurity) },
		Reviewer: func(p string) bool { return w.roster.HasRole(p, identity.RoleReviewer) },
	}
}

// ModelView is an entry as it stands.
type ModelView struct {
	model.Entry
	// Proposed entries stand in the work tree and not in what is in force.
	Proposed bool `json:"proposed"`
}

// ModelQuestion is a request as the command line states it.
type ModelQuestion struct {
	Provider, Model, Endpoint, Repository, Use, Operator string
	Principal                                            string // KIND:NAME
	At                                                   time.Time
}

// ParsePrincipal reads KIND:NAME.
func ParsePrincipal(s string) (sallyport.Principal, error) {
	kind, name, ok := strings.Cut(s, ":")
	k := sallyport.PrincipalKind(kind)
	if !ok || name == "" || !slices.Contains([]sallyport.PrincipalKind{sallyport.Person, sallyport.Agent, sallyport.Bot, sallyport.Workload}, k) {
		return sallyport.Principal{}, usagef("--principal is KIND:NAME with person, agent, bot or workload, such as agent:claude-code; it is %.80q", s)
	}
	return sallyport.Principal{Kind: k, Name: name}, nil
}

// CheckModel asks the registry in force whether a request may be made.
func (a *App) CheckModel(ctx context.Context, o Options, q ModelQuestion) (v model.Verdict, err error) {
	p, err := ParsePrincipal(q.Principal)
	if err != nil {
		return v, err
	}
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		if w.models == nil {
			v = model.Verdict{Code: model.CodeUnknown, Text: fmt.Sprintf("no model registry is in force: %s is not among the governed files", modelsPath), Hint: "sallyport model add"}
			return nil
		}
		r, err := w.registry(ctx)
		if err != nil {
			return err
		}
		v = r.Check(model.Request{
			Principal: p, Operator: q.Operator, Repository: orDefault(q.Repository, w.repository()), Provider: q.Provider, Model: q.Model,
			Endpoint: q.Endpoint, Use: q.Use, Time: orNow(q.At, a.now()),
		})
		return nil
	})
	return v, err
}

// ListModels lists the entries in force, those that were revoked, and those that the work tree proposes.
func (a *App) ListModels(ctx context.Context, o Options) (list []ModelView, err error) {
	list = []ModelView{}
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		list, err = w.modelViews(ctx)
		return err
	})
	return list, err
}

func (w *workspace) modelViews(ctx context.Context) ([]ModelView, error) {
	list := []ModelView{}
	evidence, err := w.verifiedAbout(ctx, nil)
	if err != nil {
		return nil, err
	}
	now := w.app.now()
	r, err := model.New(w.models, evidence, w.modelContext(now))
	if err != nil {
		return nil, err
	}
	known := map[sallyport.Digest]bool{}
	for _, e := range r.Entries(now) {
		known[e.ID] = known[e.ID] || e.Listed
		list = append(list, ModelView{Entry: e})
	}
	proposed, _, err := w.proposedModels()
	if err != nil || proposed == nil {
		return list, err
	}
	if r, err = model.New(proposed, evidence, w.modelContext(now)); err != nil {
		return nil, err
	}
	for _, e := range r.Entries(now) {
		if e.Listed && !known[e.ID] {
			list = slices.DeleteFunc(list, func(v ModelView) bool { return v.ID == e.ID })
			list = append(list, ModelView{Entry: e, Proposed: true})
		}
	}
	return list, nil
}

// proposedModels reads the registry of the work tree: nil where there is none.
func (w *workspace) proposedModels() (*model.File, []byte, error) {
	tree := w.repo.WorkTree()
	if tree == "" {
		return nil, nil, nil
	}
	b, err := readLimit(filepath.Join(tree, filepath.FromSlash(modelsPath)), model.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := model.ParseFile(b)
	if err != nil {
		return nil, nil, withHint(fmt.Errorf("%s of the work tree: %w", modelsPath, err), "mend it")
	}
	return f, b, nil
}

// ShowModel returns the one entry that name means: PROVIDER/NAME[@VERSION], or the beginning of its digest.
func (a *App) ShowModel(ctx context.Context, o Options, name string) (v ModelView, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		v, err = w.oneModel(ctx, name)
		return err
	})
	return v, err
}

func (w *workspace) oneModel(ctx context.Context, name string) (ModelView, error) {
	found, err := w.namedModels(ctx, name)
	if err != nil {
		return ModelView{}, err
	}
	if len(found) > 1 {
		var ids []string
		for _, v := range found {
			ids = append(ids, string(v.ID))
		}
		return ModelView{}, withHint(fmt.Errorf("%d entries are called %.200q: %s", len(found), name, strings.Join(ids, ", ")), "name one by its digest")
	}
	return found[0], nil
}

// namedModels returns the entries that name means; at least one.
func (w *workspace) namedModels(ctx context.Context, name string) ([]ModelView, error) {
	list, err := w.modelViews(ctx)
	if err != nil {
		return nil, err
	}
	var found []ModelView
	for _, v := range list {
		full := v.Provider + "/" + v.Name
		byDigest := len(name) >= 12 && (strings.HasPrefix(string(v.ID), name) || strings.HasPrefix(v.ID.Hex(), name))
		if byDigest || name == full || v.Version != "" && name == full+"@"+v.Version {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return nil, withHint(fmt.Errorf("no entry of the registry is called %.200q", name), "sallyport model list names them, as PROVIDER/NAME")
	}
	return found, nil
}

// Spoken is a word about a model that was signed.
type Spoken struct {
	Given
	Model string           `json:"model"`
	Entry sallyport.Digest `json:"entry"`
	File  string           `json:"file,omitempty"` // that an entry was added to
	State string           `json:"state"`          // of the entry, with this word
	Note  string           `json:"note,omitempty"`
}

// AddModel adds an entry to the registry of the work tree and signs it. If the entry stands there
// already, it is signed and nothing is written. An entry without a licence names one that stands there by its name.
func (a *App) AddModel(ctx context.Context, o Options, e predicate.ModelEntry, keyRef string) (s Spoken, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		f, raw, err := w.proposedModels()
		if err != nil {
			return err
		}
		if w.repo.WorkTree() == "" {
			return withHint(errors.New("a bare repository has no work tree to add an entry to"), "run it in a checkout")
		}
		file := ""
		if e.Licence == "" && len(e.Endpoints) == 0 {
			at := -1
			if f != nil {
				at = slices.IndexFunc(f.Models, func(m predicate.ModelEntry) bool {
					return m.Provider == e.Provider && m.Name == e.Name && (e.Version == "" || m.Version == e.Version)
				})
			}
			if at < 0 {
				return withHint(fmt.Errorf("%s/%s does not stand in %s of the work tree", e.Provider, e.Name, modelsPath), "say what is known of it (sallyport model add --help), or write the entry by hand")
			}
			e = f.Models[at]
		} else {
			if e, err = model.Normalise(e); err != nil {
				return err
			}
			if f == nil || !slices.ContainsFunc(f.Models, func(m predicate.ModelEntry) bool { return m.ID() == e.ID() }) {
				if _, err := model.AppendEntry(raw, e); err != nil {
					return err // before anything is signed
				}
				file = modelsPath
			}
		}
		if _, ok := w.roster.Person(e.Owner); !ok {
			return withHint(fmt.Errorf("its owner %.80q is nobody in the roster that is in force", e.Owner), "name a person of "+rosterPath)
		}
		s, err = w.speak(ctx, predicate.ModelStatement{Action: predicate.ModelAdd, Entry: e}, keyRef)
		if err != nil {
			return err
		}
		s.File = file
		if file != "" {
			err = w.writeModelsAfter(raw, e)
		}
		return err
	})
	return s, err
}

// writeModelsAfter writes the registry with an entry behind what stood there.
func (w *workspace) writeModelsAfter(raw []byte, e predicate.ModelEntry) error {
	out, err := model.AppendEntry(raw, e)
	if err != nil {
		return err
	}
	return w.writeModels(out)
}

func (w *workspace) writeModels(b []byte) error {
	path := filepath.Join(w.repo.WorkTree(), filepath.FromSlash(modelsPath))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return durable.WriteFile(path, b, 0o644)
}

// speak signs a word about an entry, logs it if it ends one, and says what the entry is worth with it.
func (w *workspace) speak(ctx context.Context, m predicate.ModelStatement, keyRef string) (Spoken, error) {
	signer, who, err := w.openReviewer(ctx, keyRef)
	if err != nil {
		return Spoken{}, err
	}
	m.Who, m.Repository = who, w.repository()
	st, err := model.NewStatement(m, w.app.now(), Version())
	if err != nil {
		return Spoken{}, err
	}
	g, ev, err := w.sign(ctx, st, signer, who)
	if err != nil {
		return Spoken{}, err
	}
	s := Spoken{Given: g, Model: m.Entry.Provider + "/" + m.Entry.Name, Entry: sallyport.Digest(m.Entry.ID())}
	evidence, err := w.verifiedAbout(ctx, nil)
	if err != nil {
		return Spoken{}, err
	}
	r, err := model.New(&model.File{Version: 1, Models: []predicate.ModelEntry{m.Entry}}, append(evidence, ev), w.modelContext(w.app.now()))
	if err != nil {
		return Spoken{}, err
	}
	for _, e := range r.Entries(w.app.now()) {
		if e.ID != s.Entry {
			continue
		}
		s.State, s.Note = e.State, e.Why
		for _, word := range e.Words {
			if word.Attestation == g.Attestation {
				s.Why = word.Why
			}
		}
	}
	return s, nil
}

// ApproveModel signs that the entry may be used.
func (a *App) ApproveModel(ctx context.Context, o Options, name, why string, until time.Time, keyRef string) (s Spoken, err error) {
	err = a.withGoverned(ctx, o, func(w *workspace) error {
		v, err := w.oneModel(ctx, name)
		if err != nil {
			return err
		}
		m := predicate.ModelStatement{Action: predicate.ModelApprove, Entry: v.ModelEntry, Justification: why}
		if !until.IsZero() {
			m.ExpiresAt = predicate.FormatTime(until)
		}
		signer, who, err := w.openReviewer(ctx, keyRef)
		if err != nil {
			return err
		}
		if err := w.mayApprove(v, who, w.gradeOf(signer)); err != nil {
			return err
		}
		s, err = w.speak(ctx, m, keyRef)
		return err
	})
	return s, err
}

// mayApprove refuses what is known to be worth nothing before anything is signed.
func (w *workspace) mayApprove(v ModelView, who string, grade sallyport.Grade) error {
	c := w.modelContext(w.app.now())
	alone := c.Solo != "" && who == c.Solo
	switch {
	case v.State == model.CodeRevoked && slices.ContainsFunc(v.Words, func(x model.Word) bool { return x.Action == predicate.ModelRevoke && x.Counts }):
		return withHint(fmt.Errorf("%s/%s was revoked, and an entry that was revoked does not come back", v.Provider, v.Name), "change the entry (its notes, say why) and have that one signed and approved")
	case len(v.Authors) == 0:
		return withHint(fmt.Errorf("nobody has signed the entry of %s/%s, so nobody knows whose it is", v.Provider, v.Name), "sallyport model add "+v.Provider+"/"+v.Name+" --key KEY, by whoever wrote it")
	case !alone && slices.Contains(v.Authors, who):
		return withHint(fmt.Errorf("%s has signed the entry, and nobody approves their own", who), "another person approves it")
	case !alone && v.Owner == who:
		return withHint(fmt.Errorf("%s owns the model, and nobody approves their own", who), "another person approves it")
	case !c.Security(who) && !c.Reviewer(who):
		return withHint(fmt.Errorf("%s has neither the role security nor the role reviewer in the roster that is in force", who), "a person with the role root adds it to "+rosterPath+" on the target branch")
	case !slices.Contains(c.Grades, grade):
		return withHint(fmt.Errorf("this key signs at grade %s, and approvals count here at grade %s", orDefault(string(grade), "none"), sallyport.EitherGrade(c.Grades)), "sign with an enrolled security key")
	}
	return nil
}
