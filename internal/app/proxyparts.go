package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
	"github.com/sallyport-dev/sallyport/internal/mask"
	"github.com/sallyport-dev/sallyport/internal/run/record"
)

// listedModels are the models of the section prompt, where no registry says more.
type listedModels struct{ models []config.PromptModel }

// Check implements [prompt.Registry]. A revoked entry goes before all others; of the rest the first that
// allows decides, and else the closest refusal is told.
func (l listedModels) Check(_ context.Context, q prompt.ModelRequest) prompt.Verdict {
	who := string(q.Principal.Kind) + ":" + q.Principal.Name
	best := prompt.Verdict{Code: "model-unknown", Text: fmt.Sprintf("no entry names the model %s of %s", q.Model, q.Provider), Hint: "have it added to prompt.models, or use one that is there"}
	closest := 0
	refuse := func(rank int, code, hint, format string, args ...any) {
		if rank > closest {
			closest, best = rank, prompt.Verdict{Code: code, Text: fmt.Sprintf(format, args...), Hint: hint}
		}
	}
	for _, m := range l.models {
		if m.Provider != q.Provider || !wild(m.Name, q.Model) {
			continue
		}
		entry := listedDigest(m)
		until, err := config.ParseUntil(m.Expires)
		switch {
		case m.Revoked != "":
			return prompt.Verdict{Code: "model-revoked", Text: fmt.Sprintf("the model %s was revoked: %s", q.Model, m.Revoked), Hint: "use another model", Entry: entry}
		case len(m.Principals) > 0 && !anyWild(m.Principals, who):
			refuse(1, "model-not-for-principal", "use another model, or have "+who+" added to its principals", "the model %s is not for %s", q.Model, who)
		case len(m.Repositories) > 0 && !anyWild(m.Repositories, q.Repository):
			refuse(2, "model-not-for-repository", "use another model, or have the repository added to its entry", "the model %s is not for the repository %q", q.Model, q.Repository)
		case len(m.Endpoints) > 0 && !slices.Contains(m.Endpoints, q.Endpoint):
			refuse(3, "endpoint-unapproved", "have the endpoint added to its entry", "the model %s is not approved at %s", q.Model, q.Endpoint)
		case err != nil || !until.IsZero() && !q.Time.Before(until):
			refuse(4, "model-expired", "have the approval renewed", "the approval of the model %s ended at %s", q.Model, m.Expires)
		case !best.Allowed:
			closest, best = 5, prompt.Verdict{Allowed: true, Entry: entry}
		}
	}
	return best
}

func listedDigest(m config.PromptModel) sallyport.Digest {
	b, err := sallyport.EncodeJSON(m)
	if err != nil {
		return ""
	}
	return sallyport.SHA256(b)
}

// maxVaults bounds the sessions whose sentinels are remembered.
const maxVaults = 4096

// maxSentinels bounds the values that a session's sentinels stand for. Beyond it the session begins anew: a
// client must not be able to fill the memory.
const maxSentinels = 100_000

// vaultOf is a session's.
type vaultOf struct {
	*mask.Vault
	found int // how often something was, since its size was looked at
}

// A proxyMasker joins the mask engine to the gate, with the sentinels of each session.
type proxyMasker struct {
	engine *mask.Engine
	back   [2]func(mask.Kind) bool // by prompt.Where; nil: nothing is put back
	mu     sync.Mutex
	vaults map[string]*vaultOf
	order  []string // the longest unused first
	found  sync.Pool
}

func newProxyMasker(a *App, c *config.PromptMask, more []mask.Known) (*proxyMasker, error) {
	m := &proxyMasker{vaults: map[string]*vaultOf{}}
	m.found.New = func() any { return new([]mask.Finding) }
	for i, word := range []string{c.Text, c.Tools} {
		switch word {
		case "", "personal":
			m.back[i] = mask.Kind.Personal
		case "all":
			m.back[i] = func(mask.Kind) bool { return true }
		}
	}
	var personal []mask.Kind
	for _, p := range c.Personal {
		personal = append(personal, mask.Kind("personal:"+strings.TrimPrefix(p, "personal:")))
	}
	known := slices.Clone(more)
	for _, name := range c.Environment {
		if v := a.Getenv(name); len(v) >= mask.MinKnown {
			known = append(known, mask.Known{Name: name, Value: v})
		}
	}
	for _, path := range c.Secrets {
		b, err := readLimit(path, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("prompt.mask.secrets: %w", err)
		}
		known = append(known, knownValues(path, string(b))...)
	}
	var documents *mask.Documents
	if len(c.Documents) > 0 {
		documents = mask.NewDocuments()
	}
	for _, path := range c.Documents {
		b, err := readLimit(path, 64<<20)
		if err == nil {
			err = documents.Add(filepath.Base(path), b)
		}
		if err != nil {
			return nil, fmt.Errorf("prompt.mask.documents: %w", err)
		}
	}
	var err error
	m.engine, err = mask.New(mask.Options{Known: known, Personal: personal, Documents: documents})
	return m, err
}

// knownValues reads NAME=VALUE lines, or a value in each line. What is too short to be told from other text
// is left out.
func knownValues(path, text string) (out []mask.Known) {
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.ContainsAny(name, " \t\"'") {
			name, value = fmt.Sprintf("%s:%d", path, n+1), line
		}
		value = strings.TrimSpace(value)
		if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		if len(value) >= mask.MinKnown && len(value) <= mask.MaxKnown {
			out = append(out, mask.Known{Name: name, Value: value})
		}
	}
	return out
}

// vault returns the session's sentinels.
func (m *proxyMasker) vault(session string) *mask.Vault {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.vaults[session]; v != nil {
		if n := len(m.order); n > 1 && m.order[n-1] != session {
			i := slices.Index(m.order, session)
			m.order = append(slices.Delete(m.order, i, i+1), session)
		}
		return v.Vault
	}
	if len(m.order) >= maxVaults {
		delete(m.vaults, m.order[0])
		m.order = slices.Delete(m.order, 0, 1)
	}
	v := &vaultOf{Vault: mask.NewVault()}
	m.vaults[session] = v
	m.order = append(m.order, session)
	return v.Vault
}

// grow counts what a session's vault was given, and begins it anew where that is too much.
func (m *proxyMasker) grow(session string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.vaults[session]
	if v == nil {
		return
	}
	if v.found += n; v.found < maxSentinels/4 {
		return
	}
	v.found = 0
	total := 0
	for _, n := range v.Counts() {
		total += n
	}
	if total > maxSentinels {
		v.Vault = mask.NewVault()
	}
}

// MaskJSON implements [prompt.Masker].
func (m *proxyMasker) MaskJSON(session string, body []byte, skip []prompt.Span) ([]byte, map[string]int, error) {
	buf := m.found.Get().(*[]mask.Finding)
	defer m.found.Put(buf)
	found, err := m.engine.FindJSON((*buf)[:0], body)
	*buf = found
	if err != nil {
		return nil, nil, err
	}
	return m.replace(session, body, found, skip)
}

// MaskText implements [prompt.Masker].
func (m *proxyMasker) MaskText(session string, text []byte) ([]byte, map[string]int, error) {
	buf := m.found.Get().(*[]mask.Finding)
	defer m.found.Put(buf)
	found := m.engine.Find((*buf)[:0], text)
	*buf = found
	return m.replace(session, text, found, nil)
}

func (m *proxyMasker) replace(session string, text []byte, found []mask.Finding, skip []prompt.Span) ([]byte, map[string]int, error) {
	if len(skip) > 0 {
		found = slices.DeleteFunc(found, func(f mask.Finding) bool {
			if f.Kind == "secret:known" {
				return false // is never spared, whatever it stands in: it is no chance that it is there
			}
			// The last one that begins no later; they do not overlap.
			i := sort.Search(len(skip), func(i int) bool { return skip[i].Start > f.Start }) - 1
			return i >= 0 && f.End <= skip[i].End
		})
	}
	if len(found) == 0 {
		return text, nil, nil
	}
	counts := map[string]int{}
	for _, f := range found {
		if name, ok := strings.CutPrefix(string(f.Kind), "document:"); ok {
			return nil, nil, &prompt.Refusal{Status: http.StatusForbidden, Code: "never-leave", Text: fmt.Sprintf("the body holds a part of the document %.80q, which must never leave", name), Hint: "leave the document out"}
		}
		counts[string(f.Kind)]++
	}
	out := m.vault(session).Mask(make([]byte, 0, len(text)+64), text, found)
	m.grow(session, len(found))
	return out, counts, nil
}

// Unmask implements [prompt.Masker].
func (m *proxyMasker) Unmask(session string, where prompt.Where, inJSON bool) prompt.Unmasker {
	allow := m.back[where]
	if allow == nil {
		return nil
	}
	if inJSON {
		return m.vault(session).StreamJSON(allow)
	}
	return m.vault(session).Stream(allow)
}

// A proxyJournal writes the gate's records to a hash-chained record.
type proxyJournal struct{ w *record.Writer }

// Append implements [prompt.Journal].
func (j proxyJournal) Append(_ context.Context, r *prompt.Record, body []byte) error {
	kind := map[string]record.Kind{prompt.KindRequest: record.KindRequest, prompt.KindResponse: record.KindResponse, prompt.KindRefused: record.KindRefused}[r.Kind]
	if kind == "" {
		return fmt.Errorf("record: the kind %q is unknown", r.Kind)
	}
	var err error
	if kind == record.KindRequest {
		_, err = j.w.Append(kind, r, j.w.Commit("prompt", body))
	} else {
		_, err = j.w.Append(kind, r)
	}
	return err
}

// openProxyRecord takes the record of a gateway up again, or begins it.
func openProxyRecord(dir, gateway, repository string, auditors []string, now func() time.Time) (*record.Writer, error) {
	if record.Is(dir) {
		r, err := record.Open(dir)
		if err != nil {
			return nil, err
		}
		// The record says whom its texts are for, and does not change its mind.
		if !slices.Equal(r.Header().Auditors, auditors) {
			return nil, withHint(fmt.Errorf("the record in %s was begun for other auditors than prompt.auditors names", dir), "seal it (sallyport record seal), move it away, and start again; or name the auditors that it has")
		}
		w, _, err := record.Resume(dir, record.Options{Now: now})
		return w, err
	}
	return record.CreateWith(dir, record.Header{Gateway: gateway, Repository: repository, Auditors: auditors, Supervisor: "sallyport " + Version()}, record.Options{Now: now})
}

// credentialOf returns what opens a provider's endpoints. The secret is read for each request, so that a
// renewed one counts at once, and is never in an error.
func (a *App) credentialOf(v config.PromptProvider) func(context.Context) (http.Header, error) {
	header := v.Header
	if header == "" {
		header = map[string]string{"anthropic": "X-Api-Key", "gemini": "X-Goog-Api-Key"}[v.Dialect]
	}
	header = http.CanonicalHeaderKey(orDefault(header, "Authorization"))
	return func(context.Context) (http.Header, error) {
		if v.Credential == "none" {
			return nil, nil
		}
		secret, err := a.secretOf(v.Credential)
		if err != nil {
			return nil, err
		}
		if header == "Authorization" {
			secret = "Bearer " + secret
		}
		return http.Header{header: {secret}}, nil
	}
}

func (a *App) secretOf(ref string) (string, error) {
	kind, name, _ := strings.Cut(ref, ":")
	var s string
	if kind == "env" {
		s = a.Getenv(name)
	} else {
		b, err := readLimit(name, 64<<10)
		if err != nil {
			return "", err
		}
		s = string(b)
	}
	s = strings.TrimSpace(s)
	if s == "" || strings.ContainsAny(s, "\r\n\x00") {
		return "", fmt.Errorf("the credential %s is empty or has several lines", ref)
	}
	return s, nil
}

var errNoPrompt = errors.New("the configuration has no section prompt")

// unixSocket makes a listener's socket anew where nobody answers at the old one.
func removeStaleSocket(path string, alive func() bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return fmt.Errorf("%s is there and no socket", path)
	case alive():
		return fmt.Errorf("somebody listens at %s already", path)
	}
	return os.Remove(path)
}
