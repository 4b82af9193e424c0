package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/approval"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/gate/merge"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/internal/key"
	"github.com/sallyport-dev/sallyport/predicate"
)

// A Ceremony is what a reviewer is shown, and what signing it would say.
type Ceremony struct {
	Screen    string             `json:"screen"`
	Head      sallyport.Digest   `json:"head"`
	TargetRef string             `json:"target_ref"`
	Outcome   sallyport.Outcome  `json:"outcome"` // as it stands, without this approval
	Reasons   []sallyport.Reason `json:"reasons"`
	Required  int                `json:"required"`
	Counting  int                `json:"counting"`
	Note      string             `json:"note,omitempty"`
	// Worthless says why what the named key signs will not count as an approval; empty if it may, or
	// if no key is named.
	Worthless string `json:"worthless,omitempty"`

	in approval.ScreenInput
}

// rehearsal is a preview of the merge gate in an open workspace.
type rehearsal struct {
	*workspace
	merge.Preview
}

// rehearse runs the merge gate about o's change and records nothing. The caller closes it.
func (a *App) rehearse(ctx context.Context, o Options) (_ *rehearsal, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if err := w.find(ctx); err != nil {
		return nil, err
	}
	g, p, err := w.mergeGate(ctx)
	if err != nil {
		return nil, err
	}
	preview, err := g.Preview(ctx, p)
	if err != nil {
		return nil, err
	}
	return &rehearsal{w, preview}, nil
}

// Ceremony prepares the screen that a reviewer vouches for. keyRef may be empty, to look only.
func (a *App) Ceremony(ctx context.Context, o Options, keyRef string) (_ *Ceremony, err error) {
	r, err := a.rehearse(ctx, o)
	if err != nil {
		return nil, err
	}
	defer done(&err, r.Close)
	if keyRef == "" {
		return r.ceremony(""), nil
	}
	key, reviewer, err := r.openReviewer(ctx, keyRef)
	if err != nil {
		return nil, err
	}
	c := r.ceremony(reviewer)
	if grade := r.gradeOf(key); !slices.Contains(r.data.ApprovalGrades, grade) {
		c.Worthless = fmt.Sprintf("this key signs at grade %s, and approvals count here at grade %s", orDefault(string(grade), "none"), sallyport.EitherGrade(r.data.ApprovalGrades))
	}
	return c, nil
}

// gradeOf is the grade of what a reviewer's key signs, touched if it can be.
func (w *workspace) gradeOf(key reviewerKey) sallyport.Grade {
	if _, ok := key.(gpgKey); ok {
		return sallyport.Declared
	}
	_, k, _ := w.roster.PersonByKey(key.Fingerprint())
	return k.Grade(true, w.app.now())
}

func (r *rehearsal) ceremony(reviewer string) *Ceremony {
	in := approval.ScreenInput{
		Reviewer: orDefault(reviewer, "(whoever signs)"), Input: r.Input, Change: &r.Examined.Change,
		Policies: r.policies, Reasons: r.Decision.Reasons, Excepted: r.Decision.Excepted, Protected: r.data.ProtectedClasses,
		Expires: r.app.now().Add(approval.DefaultLifetime),
	}
	return &Ceremony{
		Screen: approval.Screen(in), Head: r.Examined.Change.Head, TargetRef: r.target.Ref,
		Outcome: r.Decision.Outcome, Reasons: r.Decision.Reasons,
		Required: r.Input.Change.ApprovalsRequired, Counting: r.Input.Change.ApprovalsCounting,
		Note: r.target.Note, in: in,
	}
}

// reviewer returns the roster's person who owns the key.
func (w *workspace) reviewer(s sshsig.Signer) (string, error) {
	p, _, ok := w.roster.PersonByKey(s.Fingerprint())
	if !ok {
		return "", withHint(fmt.Errorf("the key %s belongs to nobody in the roster that is in force", s.Fingerprint()),
			"a person with the role root adds it to "+rosterPath+" on the target branch")
	}
	return p.ID, nil
}

// openSSH opens a reviewer's key.
func openSSH(ctx context.Context, ref string) (sshsig.Signer, error) {
	r, err := key.ParseRef(ref)
	if err != nil {
		return nil, fmt.Errorf("open key: %w", err)
	}
	switch {
	case r.Scheme == "ssh-agent":
		return sshsig.OpenAgent(ctx, r.Rest)
	case r.Scheme == "simulated-sk":
		return sshsig.LoadSimulatedSK(r.Rest)
	case r.Kind != key.File && r.Scheme != "ssh":
		return nil, fmt.Errorf("open key: %w %q: a person signs with an SSH key of their own: PATH, ssh:PATH, ssh-agent:FINGERPRINT or, to approve, openpgp:FINGERPRINT", key.ErrScheme, r.Scheme+":")
	}
	s, err := sshsig.OpenKeyFile(r.Rest, nil)
	if errors.Is(err, sshsig.ErrPassphrase) {
		return nil, withHint(err, "load it into ssh-agent (ssh-add) and use --key ssh-agent:FINGERPRINT")
	}
	return s, err
}

// Given is an approval, decline or revocation that was signed.
type Given struct {
	Attestation sallyport.Digest `json:"attestation"`
	Reviewer    string           `json:"reviewer"`
	Key         string           `json:"key"`
	Why         string           `json:"why,omitempty"` // why it does not count
	Missing     int              `json:"missing"`       // approvals that are still needed
}

// GiveApproval signs what c showed. It computes the change again: if one byte of it differs from
// what was shown, nothing is signed.
func (a *App) GiveApproval(ctx context.Context, o Options, c *Ceremony, keyRef string, decline bool) (_ Given, err error) {
	o.Target.Head = c.Head.Hex()
	r, err := a.rehearse(ctx, o)
	if err != nil {
		return Given{}, err
	}
	defer done(&err, r.Close)
	signer, reviewer, err := r.openReviewer(ctx, keyRef)
	if err != nil {
		return Given{}, err
	}
	now := r.ceremony(reviewer)
	now.in.Expires = c.in.Expires
	if approval.Screen(now.in) != c.Screen {
		return Given{}, withHint(errors.New("the change is no longer what was shown: nothing was signed"), "look at it again: sallyport approval show")
	}
	ans := approval.Answer{
		Verdict: predicate.VerdictApprove, Reviewer: reviewer, Repository: r.repository(),
		Change: &r.Examined.Change, Policies: r.policies, Screen: c.Screen, Vouches: approval.Risks(now.in),
		At: a.now(), Expires: now.in.Expires, Version: Version(),
	}
	if decline {
		ans.Verdict = predicate.VerdictDecline
	}
	st, err := approval.NewStatement(ans)
	if err != nil {
		return Given{}, err
	}
	g, ev, err := r.sign(ctx, st, signer, reviewer)
	if err != nil {
		return Given{}, err
	}
	// What it is worth is told by the gate itself.
	judged, err := approver{r.workspace}.Judge(ctx, append(slices.Clone(r.Examined.Evidence), ev), &r.Examined.Change, r.Examined.Ineligible, a.now())
	if err != nil {
		return Given{}, err
	}
	counting := map[string]bool{}
	for _, ap := range judged.Approvals {
		if ap.Attestation == g.Attestation {
			g.Why = ap.Why
		}
		if ap.Counts {
			counting[ap.Reviewer] = true
		}
	}
	g.Missing = max(0, c.Required-len(counting))
	return g, nil
}

// sign signs a reviewer's statement, checks that it verifies here, and keeps it.
func (w *workspace) sign(ctx context.Context, st sallyport.Statement, signer reviewerKey, reviewer string) (Given, sallyport.Evidence, error) {
	bundle, err := signer.bundle(ctx, st)
	if err != nil {
		return Given{}, sallyport.Evidence{}, err
	}
	ev, err := w.newVerifier(w.keys()).Verify(ctx, sallyport.Attestation{Raw: bundle, Source: "just signed"})
	if err != nil {
		return Given{}, sallyport.Evidence{}, fmt.Errorf("what was just signed does not verify: %w", err)
	}
	// What takes something back, or holds something off, is in the log before anybody hears that it
	// was signed.
	if kind := entryKind(ev); kind != "" {
		if err := w.logNegative(ctx, negative{kind, bundle}); err != nil {
			return Given{}, sallyport.Evidence{}, err
		}
	}
	d, err := w.keep(ctx, bundle)
	if err != nil {
		return Given{}, sallyport.Evidence{}, err
	}
	return Given{Attestation: d, Reviewer: reviewer, Key: signer.Fingerprint()}, ev, nil
}

// RevokeApproval signs that a reviewer takes an approval back. The revocation is evidence, and
// an entry of the log, so that losing the file does not bring the approval back.
func (a *App) RevokeApproval(ctx context.Context, o Options, attestation, keyRef string) (_ Given, err error) {
	d, err := sallyport.ParseDigest(attestation)
	if err != nil {
		return Given{}, withHint(err, "sallyport approval list names them")
	}
	w, err := a.open(ctx, o)
	if err != nil {
		return Given{}, err
	}
	defer done(&err, w.Close)
	if err := w.find(ctx); err != nil {
		return Given{}, err
	}
	if err := w.governed(ctx, ""); err != nil {
		return Given{}, err
	}
	ev, err := w.kept(ctx, d)
	if err != nil {
		return Given{}, err
	}
	signer, reviewer, err := w.openReviewer(ctx, keyRef)
	if err != nil {
		return Given{}, err
	}
	st, err := approval.NewRevocation(ev, reviewer, "", Version(), a.now())
	if err != nil {
		return Given{}, err
	}
	g, _, err := w.sign(ctx, st, signer, reviewer)
	return g, err
}

// kept returns the verified attestation with digest d.
func (w *workspace) kept(ctx context.Context, d sallyport.Digest) (sallyport.Evidence, error) {
	found, _, err := w.collector().Collect(ctx, nil)
	if err != nil {
		return sallyport.Evidence{}, err
	}
	for _, att := range found {
		if att.Digest() == d {
			return w.newVerifier(w.keys()).Verify(ctx, att)
		}
	}
	return sallyport.Evidence{}, fmt.Errorf("no approval %s: looked in %s", d.Short(), strings.Join(w.places(), " and "))
}

// ApprovalRequest is what was asked for.
type ApprovalRequest struct {
	approval.Request
	Missing  int      `json:"missing"`
	Eligible []string `json:"eligible"`
}

// RequestApproval leaves a request for the reviewers in the state folder, if approvals are
// missing.
func (a *App) RequestApproval(ctx context.Context, o Options) (_ ApprovalRequest, err error) {
	r, err := a.rehearse(ctx, o)
	if err != nil {
		return ApprovalRequest{}, err
	}
	defer done(&err, r.Close)
	c := &r.Examined.Change
	req := ApprovalRequest{
		Request: approval.Request{
			Version: 1, Repository: r.repository(), TargetRef: c.TargetRef, Base: c.Base, Head: c.Head, MergeTree: c.MergeTree,
			Asked: a.now().UTC().Format(time.RFC3339), Reasons: r.Decision.Reasons,
		},
		Missing:  max(0, r.Input.Change.ApprovalsRequired-r.Input.Change.ApprovalsCounting),
		Eligible: r.eligible(),
	}
	if req.Missing == 0 {
		return req, nil // nobody has anything to do
	}
	b, err := approval.EncodeRequest(req.Request)
	if err != nil {
		return ApprovalRequest{}, err
	}
	dir := r.path("requests")
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return ApprovalRequest{}, err
	}
	return req, durable.WriteFile(filepath.Join(dir, c.Head.Hex()+".json"), b, 0o600)
}

// eligible lists the reviewers who may approve the change at hand.
func (r *rehearsal) eligible() []string {
	return r.reviewers(r.Examined.Ineligible)
}

// reviewers lists the roster's reviewers but for those who may not approve. A nil map says that
// nobody asked who that is, and then nobody is named.
func (w *workspace) reviewers(ineligible map[string]string) []string {
	if ineligible == nil {
		return nil
	}
	var ids []string
	for _, p := range w.roster.Persons {
		if w.roster.HasRole(p.ID, identity.RoleReviewer) && ineligible[p.ID] == "" {
			ids = append(ids, p.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// ApprovalList is what was asked for and what was given.
type ApprovalList struct {
	Head       sallyport.Digest     `json:"head"`
	Required   int                  `json:"required"`
	Approvals  []sallyport.Approval `json:"approvals"`
	Objections []Objection          `json:"objections"`
	Requests   []approval.Request   `json:"requests"`
}

// An Objection is a verified decline or revocation, by whom and of what. Its attestation is what
// approval revoke takes.
type Objection struct {
	Verdict     predicate.Verdict `json:"verdict"`
	Reviewer    string            `json:"reviewer"`
	Attestation sallyport.Digest  `json:"attestation"`
	Of          string            `json:"of"` // the head that was declined, or the attestation taken back
}

// objections lists the declines and revocations among evidence.
func objections(evidence []sallyport.Evidence) []Objection {
	out := []Objection{}
	for _, ev := range evidence {
		if ev.Statement.PredicateType != predicate.ApprovalType {
			continue
		}
		p, err := predicate.DecodeApproval(ev.Statement.Predicate)
		if err != nil || p.Verdict == predicate.VerdictApprove {
			continue
		}
		o := Objection{Verdict: p.Verdict, Reviewer: ev.Signer.Name, Attestation: ev.Attestation, Of: p.Head}
		if p.Revokes != "" {
			o.Of = p.Revokes
		}
		out = append(out, o)
	}
	return out
}

// ListApprovals judges the approvals of o's change and lists the open requests.
func (a *App) ListApprovals(ctx context.Context, o Options) (_ ApprovalList, err error) {
	r, err := a.rehearse(ctx, o)
	if err != nil {
		return ApprovalList{}, err
	}
	defer done(&err, r.Close)
	list := ApprovalList{Head: r.Examined.Change.Head, Required: r.Input.Change.ApprovalsRequired, Approvals: r.Input.Approvals, Objections: objections(r.Examined.Evidence), Requests: []approval.Request{}}
	names, err := filepath.Glob(filepath.Join(r.path("requests"), "*.json"))
	if err != nil {
		return ApprovalList{}, err
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return ApprovalList{}, err
		}
		if req, err := approval.DecodeRequest(b); err == nil {
			list.Requests = append(list.Requests, req)
		}
	}
	return list, nil
}
