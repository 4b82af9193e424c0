package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/keyalg"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/change"
	"github.com/sallyport-dev/sallyport/internal/engine"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/identity"
	"github.com/sallyport-dev/sallyport/predicate"
)

// EvidenceRef is the ref by which evidence travels with git. It is transport: nothing on it is
// believed, and what is missing from it is only missing.
const EvidenceRef = "refs/sallyport/evidence"

// collector finds attestations in the state folder and on the evidence ref, and the negative words
// that the store remembers.
type collector struct{ w *workspace }

func (w *workspace) collector() engine.Collector { return collector{w} }

func (w *workspace) evidenceDir() *evidence.Dir { return evidence.NewDir(w.path("evidence")) }

// places says where collector looks, for a reader to whom nothing was found.
func (w *workspace) places() []string {
	return []string{w.path("evidence"), EvidenceRef + " in " + w.repo.CommonDir()}
}

func (c collector) Collect(ctx context.Context, subjects []sallyport.Digest) ([]sallyport.Attestation, []sallyport.Dropped, error) {
	if err := c.w.loadAnchors(ctx); err != nil {
		return nil, nil, err
	}
	// Approvals are looked for by type as well: the one that covers a squash onto a newer base
	// is about another head and another tree.
	// Exceptions and models are about no commit at all.
	subjects = append(append([]sallyport.Digest{}, subjects...), evidence.TypeDigest(predicate.ApprovalType), evidence.TypeDigest(predicate.ExceptionType),
		evidence.TypeDigest(predicate.ModelType),
		sallyport.Digest(predicate.ExceptionSubject(c.w.repository())))
	found, dropped, err := c.w.evidenceDir().Collect(ctx, subjects)
	if err != nil {
		return nil, nil, err
	}
	travelled, lost, err := c.w.travelled(ctx, subjects)
	if err != nil {
		return nil, nil, err
	}
	before, err := c.w.follow(ctx, append(slices.Clone(found), travelled...))
	if err != nil {
		return nil, nil, err
	}
	found = append(found, before...)
	remembered, err := c.w.remembered(ctx)
	if err != nil {
		return nil, nil, err
	}
	found, err = c.w.complete(ctx, append(append(found, travelled...), remembered...))
	return found, append(dropped, lost...), err
}

// verifySSH is evidence.SSHVerifier.
func verifySSH(sig, message []byte, namespace string) (evidence.SSHInfo, error) {
	info, err := sshsig.Verify(sig, message, namespace)
	if err != nil {
		return evidence.SSHInfo{}, err
	}
	return evidence.SSHInfo{Fingerprint: info.Fingerprint, SK: info.SK, Touched: info.Touched}, nil
}

// newVerifier returns a verifier under keys, at the enforcement point's time.
func (w *workspace) newVerifier(keys []evidence.Key) *evidence.Verifier {
	v := evidence.NewVerifier(keys, w.app.now())
	v.SSH, v.OpenPGP, v.Keyless, v.Cache = verifySSH, w.verifyOpenPGP, w.keyless, w.signatures
	return v
}

// approvalKey is what a person's SSH key may say: approvals and nothing else. Its grade is that of
// a touched signature; the verifier lowers it without the touch.
func approvalKey(k identity.Key, now time.Time) evidence.Key {
	return evidence.Key{
		Name: k.Person + " " + k.Fingerprint, Principal: sallyport.Principal{Kind: sallyport.Person, Name: k.Person},
		Types: []string{predicate.ApprovalType, predicate.ExceptionType, predicate.ModelType}, SSH: k.Fingerprint, SK: k.SK,
		Grade: k.Grade(true, now), NotAfter: k.NotAfter, Materials: k.Materials, Kind: keyKind(k),
	}
}

// keyKind returns the algorithm of a person's SSH key as lists name it.
func keyKind(k identity.Key) string {
	pub, err := sshsig.ParseAuthorizedKey(k.Public)
	switch {
	case err != nil:
		return ""
	case k.SK:
		return pub.Type()
	}
	return keyalg.Of(sshsig.CryptoKey(pub)).ID
}

// verifiedAbout returns what is kept or presented about subjects and verifies, each once.
func (w *workspace) verifiedAbout(ctx context.Context, subjects []sallyport.Digest) ([]sallyport.Evidence, error) {
	presented, err := readBundles(w.opts.Bundles)
	if err != nil {
		return nil, err
	}
	found, _, err := w.collector().Collect(ctx, subjects)
	if err != nil {
		return nil, err
	}
	v := w.newVerifier(w.keys())
	seen := map[sallyport.Digest]bool{}
	var evidence []sallyport.Evidence
	for _, att := range append(presented, found...) {
		if d := att.Digest(); !seen[d] {
			seen[d] = true
			if ev, err := v.Verify(ctx, att); err == nil {
				evidence = append(evidence, ev)
			}
		}
	}
	return evidence, nil
}

// AttestOptions say what to sign.
type AttestOptions struct {
	Subjects      []string
	Type          string
	PredicateFile string
	Predicate     []byte
	Key           string
	Output        string // a file for the bundle, - for standard output, empty to keep it
	Changes       string // BASE..HEAD: what an agent run changed, added to its predicate
	TimestampURL  string // a timestamp authority that is asked about the signature
	TrustedRoot   string // a file under which its answer has to verify; empty for the work tree's
}

// Attested is a signed statement.
type Attested struct {
	Digest   sallyport.Digest   `json:"digest"`
	Key      string             `json:"key"`
	Subjects []sallyport.Digest `json:"subjects"`
	Bundle   []byte             `json:"-"`
}

// Attest signs a statement about subjects and keeps it as evidence, or writes it to a file.
func (a *App) Attest(ctx context.Context, o Options, at AttestOptions) (_ Attested, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return Attested{}, err
	}
	defer done(&err, w.Close)
	if at.Changes != "" {
		if at.Predicate, err = w.withChanges(ctx, predicateType(at.Type), at.Predicate, at.Changes); err != nil {
			return Attested{}, err
		}
	}
	st := sallyport.Statement{Type: sallyport.StatementType, PredicateType: predicateType(at.Type), Predicate: json.RawMessage(at.Predicate)}
	if u, err := url.Parse(st.PredicateType); err != nil || u.Scheme == "" || strings.ContainsAny(st.PredicateType, " \t\r\n") {
		return Attested{}, withHint(fmt.Errorf("%q is no predicate type", at.Type), "a type is a URI such as https://slsa.dev/provenance/v1, or agent-run or approval for ours")
	}
	if err := w.addSubjects(ctx, &st, at.Subjects); err != nil {
		return Attested{}, err
	}
	k, err := a.openKey(ctx, at.Key)
	if err != nil {
		return Attested{}, err
	}
	res := Attested{Key: string(k.Fingerprint())}
	for _, s := range st.Subject {
		for alg, hex := range s.Digest {
			res.Subjects = append(res.Subjects, sallyport.Digest(alg+":"+hex))
		}
	}
	if res.Bundle, err = evidence.Sign(ctx, st, k); err != nil {
		return Attested{}, err
	}
	if at.TimestampURL != "" {
		if res.Bundle, err = w.stamp(ctx, res.Bundle, at); err != nil {
			return Attested{}, err
		}
	}
	res.Digest = sallyport.SHA256(res.Bundle)
	switch at.Output {
	case "":
		_, err = w.keep(ctx, res.Bundle)
	case "-":
	default:
		err = writeFile(at.Output, res.Bundle)
	}
	return res, err
}

// stamp adds a timestamp to a bundle.
func (w *workspace) stamp(ctx context.Context, bundle []byte, at AttestOptions) ([]byte, error) {
	name := at.TrustedRoot
	if name == "" {
		if w.repo.WorkTree() == "" {
			return nil, withHint(errors.New("there is no trusted root to verify a timestamp with"), "--trusted-root FILE")
		}
		name = filepath.Join(w.repo.WorkTree(), filepath.FromSlash(trustedRootPath))
	}
	b, err := readSmall(name)
	if err != nil {
		return nil, withHint(fmt.Errorf("read the trusted root that has to verify the timestamp: %w", err), "--trusted-root FILE")
	}
	k, err := evidence.ParseTrustedRoot(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return evidence.Stamp(ctx, bundle, at.TimestampURL, k)
}

// addSubjects adds what the caller names and, of an agent run, what the predicate names, so that
// the evidence is found by any of them.
func (w *workspace) addSubjects(ctx context.Context, st *sallyport.Statement, subjects []string) error {
	seen := map[sallyport.Digest]bool{}
	add := func(d sallyport.Digest, name string) {
		if !seen[d] {
			seen[d] = true
			st.Subject = append(st.Subject, sallyport.StatementSubject{Name: name, Digest: map[string]string{d.Algorithm(): d.Hex()}})
		}
	}
	for _, s := range subjects {
		ds, name, err := w.subject(ctx, s)
		if err != nil {
			return err
		}
		for _, d := range ds {
			add(d, name)
		}
	}
	if st.PredicateType != predicate.AgentRunType {
		return nil
	}
	run, err := predicate.DecodeAgentRun(st.Predicate)
	if err != nil {
		return fmt.Errorf("read the predicate: %w", err)
	}
	for _, c := range run.Changes.Commits {
		add(sallyport.GitCommit(c), "")
		if trees, err := w.repo.Trees(ctx, []string{c}); err == nil {
			add(sallyport.GitTree(trees[0]), "")
		}
	}
	for _, b := range run.Changes.Blobs {
		add(sallyport.Digest("gitBlob:"+b.GitBlob), "")
	}
	for _, h := range run.Changes.Hunks {
		add(sallyport.Digest("sha256:"+h), "")
	}
	return nil
}

// withChanges adds to an agent run's predicate what the commits of a range changed: the commits,
// the hunks, and the files by content.
func (w *workspace) withChanges(ctx context.Context, typ string, body []byte, rangeSpec string) ([]byte, error) {
	base, head, ok := strings.Cut(rangeSpec, "..")
	if !ok || typ != predicate.AgentRunType {
		return nil, withHint(errors.New("changes are a range, BASE..HEAD, of an agent run"), "sallyport attest --type agent-run --changes main..HEAD …")
	}
	run, err := predicate.DecodeAgentRun(body)
	if err != nil {
		return nil, fmt.Errorf("read the predicate: %w", err)
	}
	var ends [2]string
	for i, rev := range []string{base, orDefault(head, "HEAD")} {
		if ends[i], err = w.repo.Resolve(ctx, rev); err != nil {
			return nil, fmt.Errorf("find %s: %w", rev, err)
		}
	}
	c, err := w.differ(ctx).Change(ctx, change.Request{TargetRef: "refs/heads/run", Action: "update", Base: ends[0], Head: ends[1]})
	if err != nil {
		return nil, err
	}
	for _, k := range c.Commits {
		run.Changes.Commits = append(run.Changes.Commits, k.ID.Hex())
	}
	for i := range c.Files {
		f := &c.Files[i]
		if !isZeroID(f.NewBlob) {
			run.Changes.Blobs = append(run.Changes.Blobs, predicate.Blob{Path: string(f.Path), Mode: f.NewMode, GitBlob: f.NewBlob})
		}
		for n, u := range f.Units {
			// The units of one hunk follow each other.
			if n == 0 || u.Place != f.Units[n-1].Place || u.Hunk != f.Units[n-1].Hunk {
				run.Changes.Hunks = append(run.Changes.Hunks, u.Hunk.Hex())
			}
		}
	}
	return sallyport.EncodeJSON(run)
}

// subject returns the digests that a subject on the command line stands for.
func (w *workspace) subject(ctx context.Context, s string) ([]sallyport.Digest, string, error) {
	if rev, ok := strings.CutPrefix(s, "git:"); ok {
		oid, err := w.repo.Resolve(ctx, rev)
		if err != nil {
			return nil, "", fmt.Errorf("find %s: %w", rev, err)
		}
		trees, err := w.repo.Trees(ctx, []string{oid})
		if err != nil {
			return nil, "", fmt.Errorf("find the tree of %s: %w", rev, err)
		}
		return []sallyport.Digest{sallyport.GitCommit(oid), sallyport.GitTree(trees[0])}, "", nil
	}
	if d, err := sallyport.ParseDigest(s); err == nil {
		return []sallyport.Digest{d}, "", nil
	}
	d, err := digestFile(s)
	if err != nil {
		return nil, "", withHint(fmt.Errorf("%q is no subject: %w", s, err), "a subject is a digest such as gitCommit:…, git:REV, or a file")
	}
	return []sallyport.Digest{d}, filepath.Base(s), nil
}

// cosignTypes are the short names that cosign takes for predicate types, so that a command line is
// read alike. They are no part of what is signed.
var cosignTypes = map[string]string{
	"custom":           "https://cosign.sigstore.dev/attestation/v1",
	"slsaprovenance":   "https://slsa.dev/provenance/v0.2",
	"slsaprovenance02": "https://slsa.dev/provenance/v0.2",
	"slsaprovenance1":  "https://slsa.dev/provenance/v1",
	"spdx":             "https://spdx.dev/Document",
	"spdxjson":         "https://spdx.dev/Document",
	"cyclonedx":        "https://cyclonedx.org/bom",
	"link":             "https://in-toto.io/Link/v1",
	"vuln":             "https://cosign.sigstore.dev/attestation/vuln/v1",
	"openvex":          "https://openvex.dev/ns",
}

// predicateType completes the short names of our own types, and cosign's.
func predicateType(s string) string {
	switch s {
	case "agent-run":
		return predicate.AgentRunType
	case "approval":
		return predicate.ApprovalType
	case "exception":
		return predicate.ExceptionType
	case "run-key":
		return predicate.RunKeyType
	case "model":
		return predicate.ModelType
	}
	if uri, ok := cosignTypes[s]; ok {
		return uri
	}
	return s
}

func writeFile(path string, b []byte) error {
	if err := os.WriteFile(path, b, 0o644); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	return nil
}
