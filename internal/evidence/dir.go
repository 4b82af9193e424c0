package evidence

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// MaxAttestations is how many attestations a [Dir] holds at most.
const MaxAttestations = 100_000

// maxIndex bounds the index file: what a full store of small attestations needs. A larger index
// is not read but made anew.
const maxIndex = 256 << 20

// ErrFull is returned by Put for a store that holds [MaxAttestations].
var ErrFull = errors.New("the evidence store is full")

// A Dir keeps attestations in a folder, each in a file named by the digest of its bytes:
//
//	sha256/<hex>.json   the bundle
//	index               which subjects each is about: "<crc32c> <json>" on a line
//
// The files are the truth and the index is only speed: a file that the index does not know is
// read and added, so an index that is lost, torn by a crash or behind costs time and hides
// nothing. A file whose bytes do not have the digest in its name is reported and never returned,
// and so is one that holds no statement.
//
// A Dir is safe for concurrent use by any number of processes. Nothing is ever deleted from it by
// this code; whoever may write to the folder can, so what must not be lost is in the log.
type Dir struct {
	path  string
	limit int
}

// NewDir returns the store in the folder path, which the first Put creates. A folder that does
// not exist is a store without attestations.
func NewDir(path string) *Dir { return &Dir{path: path, limit: MaxAttestations} }

// Put keeps raw, a bundle around a statement, and returns its digest. It is durable when Put
// returns. Keeping what is there already does nothing. Nothing is verified.
func (d *Dir) Put(ctx context.Context, raw []byte) (sallyport.Digest, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	subjects, err := subjectsOf(raw)
	if err != nil {
		return "", fmt.Errorf("keep attestation: %w", err)
	}
	id := sallyport.SHA256(raw)
	if have, err := d.read(id); err == nil && bytes.Equal(have, raw) {
		return id, nil
	}
	if err := durable.MkdirAll(d.blobs(), 0o755); err != nil {
		return "", fmt.Errorf("keep attestation: %w", err)
	}
	ids, err := d.list()
	if err != nil {
		return "", fmt.Errorf("keep attestation: %w", err)
	}
	if len(ids) >= d.limit && !slices.Contains(ids, id) {
		return "", fmt.Errorf("keep attestation: %w: it holds %d", ErrFull, len(ids))
	}
	// A file that is there and damaged is replaced: its name says what must be in it.
	if err := durable.WriteFile(d.file(id), raw, 0o644); err != nil {
		return "", fmt.Errorf("keep attestation: %w", err)
	}
	d.addToIndex([]indexEntry{{id, subjects}})
	return id, nil
}

// Collect returns the attestations with a subject among subjects, in the order of their digests,
// and every file of the store that could not be used, whatever it may have been about.
func (d *Dir) Collect(ctx context.Context, subjects []sallyport.Digest) ([]sallyport.Attestation, []sallyport.Dropped, error) {
	want := make(map[sallyport.Digest]bool, len(subjects))
	for _, s := range subjects {
		want[s] = true
	}
	return d.collect(ctx, func(of []sallyport.Digest) bool {
		return slices.ContainsFunc(of, func(s sallyport.Digest) bool { return want[s] })
	})
}

// Get returns the attestation with the digest id.
func (d *Dir) Get(ctx context.Context, id sallyport.Digest) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return d.read(id)
}

// All returns every attestation, as [Dir.Collect] does.
func (d *Dir) All(ctx context.Context) ([]sallyport.Attestation, []sallyport.Dropped, error) {
	return d.collect(ctx, func([]sallyport.Digest) bool { return true })
}

func (d *Dir) collect(ctx context.Context, wanted func([]sallyport.Digest) bool) ([]sallyport.Attestation, []sallyport.Dropped, error) {
	ids, err := d.list()
	if err != nil {
		return nil, nil, fmt.Errorf("collect attestations: %w", err)
	}
	if len(ids) > d.limit {
		return nil, nil, fmt.Errorf("collect attestations: %d files, the limit is %d", len(ids), d.limit)
	}
	index := d.readIndex()
	var found []sallyport.Attestation
	var dropped []sallyport.Dropped
	var learnt []indexEntry
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		subjects, known := index[id]
		if known && !wanted(subjects) {
			continue
		}
		raw, err := d.read(id)
		if err == nil && !known {
			if subjects, err = subjectsOf(raw); err == nil {
				learnt = append(learnt, indexEntry{id, subjects})
			}
		}
		switch {
		case err != nil:
			dropped = append(dropped, sallyport.Dropped{Attestation: id, Source: source(id), Why: oneLine(err)})
		case wanted(subjects):
			found = append(found, sallyport.Attestation{Raw: raw, Source: source(id)})
		}
	}
	d.addToIndex(learnt)
	return found, dropped, nil
}

// source says where an attestation was found without naming the machine's folders, since it
// becomes part of a decision.
func source(id sallyport.Digest) string { return "evidence store, sha256/" + id.Hex() + ".json" }

func (d *Dir) blobs() string { return filepath.Join(d.path, "sha256") }
func (d *Dir) index() string { return filepath.Join(d.path, "index") }

func (d *Dir) file(id sallyport.Digest) string {
	return filepath.Join(d.blobs(), id.Hex()+".json")
}

// list returns the digests of the files that are there, in order. Other files are not ours.
func (d *Dir) list() ([]sallyport.Digest, error) {
	entries, err := os.ReadDir(d.blobs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ids := make([]sallyport.Digest, 0, len(entries))
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		id, err := sallyport.ParseDigest("sha256:" + name)
		if ok && err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// read returns the bytes that have the digest id.
func (d *Dir) read(id sallyport.Digest) ([]byte, error) {
	info, err := os.Lstat(d.file(id))
	if err != nil {
		return nil, fmt.Errorf("the file cannot be read: %w", errorOnly(err))
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(d.file(id))
	if err != nil {
		return nil, fmt.Errorf("the file cannot be read: %w", errorOnly(err))
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, MaxBundle+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the file cannot be read: %w", errorOnly(err))
	case len(raw) > MaxBundle:
		return nil, fmt.Errorf("the file is larger than %d bytes", MaxBundle)
	case sallyport.SHA256(raw) != id:
		return nil, errors.New("the file is damaged: its bytes do not have the digest in its name")
	}
	return raw, nil
}

// errorOnly drops the path from a file system's error.
func errorOnly(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Check reports whether raw is a bundle around a statement that can be read. It verifies nothing:
// an error says that no key could make it count.
func Check(raw []byte) error {
	_, err := subjectsOf(raw)
	return err
}

// subjectsOf returns what the statement in a bundle is filed under: its subjects and its type. It reads by the rules of Verify, so
// that nothing which would verify is filed wrongly.
func subjectsOf(raw []byte) ([]sallyport.Digest, error) {
	p, err := parse(raw)
	if err != nil {
		return nil, err
	}
	st, err := decodeStatement(p.envelope.Payload)
	if err != nil {
		return nil, err
	}
	if err := checkStatement(st); err != nil {
		return nil, err
	}
	subjects := []sallyport.Digest{TypeDigest(st.PredicateType)}
	for _, s := range st.Subject {
		for alg, hex := range s.Digest {
			if dg, err := sallyport.ParseDigest(alg + ":" + hex); err == nil {
				subjects = append(subjects, dg)
			}
		}
	}
	slices.Sort(subjects)
	return slices.Compact(subjects), nil
}

type indexEntry struct {
	Attestation sallyport.Digest   `json:"attestation"`
	Subjects    []sallyport.Digest `json:"subjects"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// addToIndex appends entries. It is best effort: what the index lacks is found again from the
// files. Each write begins a line of its own, so that a line torn by a crash spoils only itself.
func (d *Dir) addToIndex(entries []indexEntry) {
	if len(entries) == 0 {
		return
	}
	buf := []byte("\n")
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			return
		}
		buf = fmt.Appendf(buf, "%08x %s\n", crc32.Checksum(line, castagnoli), line)
	}
	f, err := os.OpenFile(d.index(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxIndex {
		_ = f.Truncate(0) // it is past use; what it held is found again
	}
	_, _ = f.Write(buf)
}

// readIndex returns the subjects of each attestation that the index knows. Lines whose checksum
// is wrong are skipped.
func (d *Dir) readIndex() map[sallyport.Digest][]sallyport.Digest {
	index := map[sallyport.Digest][]sallyport.Digest{}
	f, err := os.Open(d.index())
	if err != nil {
		return index
	}
	defer f.Close()
	r := bufio.NewReader(io.LimitReader(f, maxIndex))
	for {
		line, err := r.ReadBytes('\n')
		if sum, body, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" ")); ok &&
			string(sum) == fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)) {
			var e indexEntry
			if json.Unmarshal(body, &e) == nil {
				index[e.Attestation] = e.Subjects
			}
		}
		if err != nil {
			return index
		}
	}
}

// Statement returns the statement in a bundle as it stands there. It verifies nothing: it is for
// showing to people what a bundle says of itself.
func Statement(raw []byte) (sallyport.Statement, error) {
	p, err := parse(raw)
	if err != nil {
		return sallyport.Statement{}, err
	}
	st, err := decodeStatement(p.envelope.Payload)
	if err != nil {
		return sallyport.Statement{}, err
	}
	return st, checkStatement(st)
}
