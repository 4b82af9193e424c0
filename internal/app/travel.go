package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/evidence"
)

// Bounds of what one check reads from the evidence ref. What is
// about something else is not read at all, and what no known key can have signed is read past, so
// these bound what names a key that counts here.
const (
	maxLooked     = 200_000 // files that are looked at
	maxLookedSize = 1 << 30 // and their bytes
	maxKnown      = 20_000  // files of known keys that are kept for closer reading
	maxKnownSize  = 256 << 20
	maxStrangers  = 100 // files of unknown keys that are told one by one
)

// errFlood says that the evidence ref holds more about the change than is read. Some of it may be
// an objection, so nothing is decided.
var errFlood = errors.New("evidence-flood: the ref holds more than a check reads")

func flooded(format string, args ...any) error {
	return withHint(fmt.Errorf("%w: %s", errFlood, fmt.Sprintf(format, args...)),
		"sallyport evidence prune keeps what verifies and drops the rest; docs/evidence.md says how a team does that")
}

// travelled returns the attestations on the evidence ref that may be about subjects, and those of
// what is being pushed to it. A subject may be a type, see [evidence.TypeDigest]: then what known
// keys signed of it.
func (w *workspace) travelled(ctx context.Context, subjects []sallyport.Digest) ([]sallyport.Attestation, []sallyport.Dropped, error) {
	tips := slices.Clone(w.pushedEvidence)
	switch tip, err := w.repo.Ref(ctx, EvidenceRef); {
	case err == nil:
		tips = append(tips, tip)
	case !errors.Is(err, git.ErrNotFound):
		return nil, nil, fmt.Errorf("read %s: %w", EvidenceRef, err)
	}
	r := refReader{w: w, seen: map[string]bool{}, known: map[string]bool{}, keys: map[string]bool{}, must: map[sallyport.Digest]bool{}}
	for _, e := range w.negatives {
		r.must[e.Digest], r.keys[string(e.Digest)] = true, true
	}
	for _, s := range subjects {
		r.keys[string(s)] = true
	}
	for _, k := range w.keys() {
		hint := k.Hint()
		if hint == "" {
			continue
		}
		r.known[hint] = true
		for _, t := range k.Types {
			if typ := evidence.TypeDigest(t); r.keys[string(typ)] {
				// What names no key, as what is signed with a certificate, lies under none.
				r.keys[evidence.TypedBy(typ, hint)], r.keys[evidence.TypedBy(typ, "")] = true, true
			}
		}
	}
	if w.carried != nil {
		for hint := range w.carried.hints {
			r.known[hint] = true
		}
	}
	for _, tip := range tips {
		if err := r.read(ctx, tip); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", EvidenceRef, err)
		}
	}
	if n := r.strangers - maxStrangers; n > 0 {
		r.dropped = append(r.dropped, sallyport.Dropped{Source: EvidenceRef, Why: fmt.Sprintf("%d more files name keys that are not in the trust roots", n)})
	}
	return r.found, r.dropped, nil
}

// A refReader collects attestations from commits of the evidence ref.
type refReader struct {
	w     *workspace
	keys  map[string]bool // what is looked up
	known map[string]bool // hints of the keys that count here
	seen  map[string]bool // blobs
	must  map[sallyport.Digest]bool

	found     []sallyport.Attestation
	dropped   []sallyport.Dropped
	size      int
	looked    int
	lookedAt  int64
	strangers int
}

// read adds what the tree of tip holds under the keys, and in the top folder, where the first
// layout had everything.
func (r *refReader) read(ctx context.Context, tip string) error {
	top, err := r.w.repo.Tree(ctx, tip)
	if err != nil {
		return r.tooLarge(err)
	}
	folders := map[string]string{}
	var files []git.Entry
	for _, e := range top {
		switch {
		case e.IsFolder() && evidence.IsRefFolder(e.Path):
			folders[e.Path] = e.OID
		case e.IsFolder(): // nobody is known to write there
			r.drop(e.Path, "it is in no folder of the ref's layout")
		default:
			files = append(files, e)
		}
	}
	wanted := map[string][]string{} // by folder, how names begin
	for k := range r.keys {
		folder, prefix := evidence.RefPlace(k)
		if folders[folder] != "" {
			wanted[folder] = append(wanted[folder], prefix)
		}
	}
	for folder, prefixes := range wanted {
		slices.Sort(prefixes)
		entries, err := r.w.repo.Tree(ctx, folders[folder])
		if err != nil {
			return r.tooLarge(err)
		}
		for _, e := range entries {
			prefix, _, ok := strings.Cut(e.Path, "-")
			if !ok || e.IsFolder() {
				continue
			}
			if _, ok := slices.BinarySearch(prefixes, prefix+"-"); ok {
				e.Path = folder + "/" + e.Path
				files = append(files, e)
			}
		}
	}
	slices.SortStableFunc(files, func(a, b git.Entry) int { return strings.Compare(a.Path, b.Path) })
	return r.files(ctx, files)
}

func (r *refReader) tooLarge(err error) error {
	if errors.Is(err, git.ErrTooLarge) {
		return flooded("%v", err)
	}
	return err
}

// files reads files that were not seen yet.
func (r *refReader) files(ctx context.Context, files []git.Entry) error {
	var fresh []git.Entry
	var oids []string
	for _, e := range files {
		switch {
		case r.seen[e.OID]:
		case !e.IsFile():
			r.drop(e.Path, "it is no regular file")
		default:
			r.seen[e.OID] = true
			fresh, oids = append(fresh, e), append(oids, e.OID)
		}
	}
	if r.looked += len(fresh); r.looked > maxLooked {
		return flooded("%d files, the limit is %d", r.looked, maxLooked)
	}
	return r.w.repo.Blobs(ctx, oids, maxBundle, func(i int, raw []byte, err error) error {
		path := fresh[i].Path
		if err != nil {
			r.drop(path, err.Error())
			return nil
		}
		if r.lookedAt += int64(len(raw)); r.lookedAt > maxLookedSize {
			return flooded("more than %d bytes", int64(maxLookedSize))
		}
		// A bundle that names a key that is not known here cannot verify. The first few are
		// told with the reason that verifying them gives.
		if hint := evidence.ClaimedKey(raw); hint != "" && !r.known[hint] && (len(r.must) == 0 || !r.must[sallyport.SHA256(raw)]) {
			if r.strangers++; r.strangers > maxStrangers {
				return nil
			}
		} else if r.size += len(raw); len(r.found) >= maxKnown+maxStrangers || r.size > maxKnownSize {
			return flooded("more than %d files or %d bytes in the name of keys that count here", maxKnown, maxKnownSize)
		}
		r.found = append(r.found, sallyport.Attestation{Raw: raw, Source: refSource(path)})
		return nil
	})
}

// drop notes a file that cannot be used. What a flood of them says is no use to anybody.
func (r *refReader) drop(path, why string) {
	if len(r.dropped) < maxStrangers {
		r.dropped = append(r.dropped, sallyport.Dropped{Source: refSource(path), Why: why})
	}
}

func refSource(path string) string { return EvidenceRef + ":" + sallyport.Path(path).String() }

// refFiles returns where attestations lie on the ref. What is none is left out.
func refFiles(all []sallyport.Attestation) map[string]git.Addition {
	files := map[string]git.Addition{}
	for _, a := range all {
		paths, err := evidence.RefPaths(a.Raw)
		if err != nil {
			continue
		}
		for _, p := range paths {
			files[p] = git.Addition{Body: a.Raw}
		}
	}
	return files
}

// keep files an attestation in the state folder, and puts it on the evidence ref, so that a push
// of that ref takes it to where the gate is.
func (w *workspace) keep(ctx context.Context, bundle []byte) (sallyport.Digest, error) {
	d, err := w.evidenceDir().Put(ctx, bundle)
	if err != nil {
		return "", err
	}
	_, err = w.repo.Publish(ctx, EvidenceRef, refFiles([]sallyport.Attestation{{Raw: bundle}}), "Add "+string(d))
	return d, err
}

// PublishEvidence puts every attestation of the state folder on the evidence ref, and returns how
// many there are. It does not push.
func (a *App) PublishEvidence(ctx context.Context, o Options) (n int, err error) {
	w, err := a.open(ctx, o)
	if err != nil {
		return 0, err
	}
	defer done(&err, w.Close)
	all, _, err := w.evidenceDir().All(ctx)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, withHint(fmt.Errorf("no attestation is kept in %s", w.path("evidence")), "sallyport approval give, or sallyport attest")
	}
	_, err = w.repo.Publish(ctx, EvidenceRef, refFiles(all), fmt.Sprintf("Add %d attestation(s)", len(all)))
	return len(all), err
}
