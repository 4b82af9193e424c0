package advisory

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// An Origin is a path to import from.
type Origin struct {
	Path string
	Name string    // what to call it; empty: its path
	AsOf time.Time // when it was made, if its bringer knows; else what it says itself
	// Covers are the ecosystems of which the bringer says that the source has all records, by OSV's names. See
	// the package's documentation for sources that say so themselves.
	Covers []string
}

// Import reads records from the origins and puts a database of exactly these in the place of the
// one at path, or leaves that as it is and returns an error. No records at all are an error too, and so is a signature over
// something else. Of a source that was signed the signer says how old it is and what it has all records of, and nobody else.
func Import(ctx context.Context, path string, origins []Origin, now time.Time, signed ...Signed) (*Meta, error) {
	b := &builder{now: now, ids: map[string]*kept{}}
	for _, o := range origins {
		at := len(b.sources)
		if err := b.source(ctx, o.Path, o.AsOf); err != nil {
			return nil, err
		}
		if o.Name != "" {
			b.sources[at].Path = o.Name
		}
		for i := at; i < len(b.sources); i++ {
			if !b.sources[i].signed(signed) {
				b.sources[i].cover(o.Covers...)
			}
		}
	}
	for _, s := range signed {
		if !slices.ContainsFunc(b.sources, func(src building) bool { return !src.skip && src.Digest == s.Digest }) {
			return nil, fmt.Errorf("%w: a signature is over %s, and nothing that is imported is that", ErrSource, s.Digest)
		}
	}
	for _, o := range origins {
		for _, eco := range o.Covers {
			if !slices.ContainsFunc(b.sources, func(s building) bool { return slices.Contains(s.Covers, eco) }) {
				return nil, fmt.Errorf("%w: nothing that is imported has a record of %s, and so not all of them", ErrSource, eco)
			}
		}
	}
	file, meta, err := b.build()
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(path, file, 0o600); err != nil {
		return nil, fmt.Errorf("keep the advisory database: %w", err)
	}
	return meta, nil
}

// A builder collects records.
type builder struct {
	now     time.Time
	sources []building
	ids     map[string]*kept
	order   []string
}

type building struct {
	Source
	newest time.Time // that a record states
	made   time.Time // that the layout states
	skip   bool

	counts   map[string]int  // records that are not withdrawn, by ecosystem
	says     map[string]int  // how many that should be, by the source's own word
	goIDs    map[string]bool // of Go's database
	goListed []string        // those that its index has
}

// cover notes that the source has all records of ecosystems. It is no word about one of which it has none.
func (s *building) cover(ecosystems ...string) {
	for _, e := range ecosystems {
		if s.counts[e] > 0 && !slices.Contains(s.Covers, e) {
			s.Covers = append(s.Covers, e)
		}
	}
	slices.Sort(s.Covers)
}

// signed takes what the signer of the source says about it, if somebody signed it. Of several the newest word counts, and
// no other.
func (s *building) signed(list []Signed) bool {
	var last *Signed
	for i := range list {
		if w := &list[i]; w.Digest == s.Digest && (last == nil || w.Claim.Time().After(last.Claim.Time())) {
			last = w
		}
	}
	if last == nil {
		return false
	}
	s.AsOf, s.Stated, s.Signature = last.Claim.Time(), true, last.Bundle
	s.cover(last.Claim.Covers...)
	return true
}

// kept is the newest record of an id, and all that do not say when they were modified: which of those is newer nobody knows, so
// that what each says is kept. Its entries are encoded, which takes a third of the memory.
type kept struct {
	dated     bool // there is a newest one, from source
	source    int
	modified  time.Time
	withdrawn bool
	parts     []keptPart
	before    []string // the ecosystems that those were about which gave way to the newest

	undated        []keptPart
	undatedSources []int
}

// gaveWay notes what an older record of the id was about: that its packages are not told of any more is the newest one's word.
func (k *kept) gaveWay(ecosystem string) {
	if !slices.Contains(k.before, ecosystem) {
		k.before = append(k.before, ecosystem)
	}
}

// all are the entries of the newest record, and of those without a time.
func (k *kept) all() []keptPart { return append(slices.Clone(k.parts), k.undated...) }

// sources are where they are from.
func (k *kept) sources() []int {
	if k.dated {
		return append(slices.Clone(k.undatedSources), k.source)
	}
	return k.undatedSources
}

type keptPart struct {
	ecosystem, key string
	malicious      bool
	body           []byte
}

func (b *builder) begin(name string, asOf time.Time) int {
	b.sources = append(b.sources, building{Source: Source{Path: name, AsOf: asOf, Stated: !asOf.IsZero(), Covers: []string{}}, counts: map[string]int{}, goIDs: map[string]bool{}})
	return len(b.sources) - 1
}

// add takes one JSON file of source s.
func (b *builder) add(s int, f file) error {
	src := &b.sources[s]
	if t, ok := vulndbTime(f); ok {
		src.made = t
	}
	if err := src.coverage(f); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSource, clip(f.name), err)
	}
	rec, err := parse(f.body)
	if errors.Is(err, errNoRecord) {
		src.NoRecords++
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSource, clip(f.name), err)
	}
	switch {
	case rec.modified.IsZero():
		src.Undated++
	case rec.modified.After(b.now.Add(24 * time.Hour)):
		src.FutureDate++
	case rec.modified.After(src.newest):
		src.newest = rec.modified
	}
	src.LeftOut += rec.leftOut
	src.count(rec)
	var parts []keptPart
	for i := range rec.parts {
		var e encoder
		e.entry(&rec.parts[i].Entry)
		parts = append(parts, keptPart{rec.parts[i].ecosystem, rec.parts[i].key, rec.parts[i].Malicious, e.b})
	}
	k := b.ids[rec.id]
	if k == nil {
		k = &kept{}
		b.ids[rec.id] = k
		b.order = append(b.order, rec.id)
	}
	switch {
	case rec.modified.IsZero():
		k.undated = append(k.undated, parts...)
		if !slices.Contains(k.undatedSources, s) {
			k.undatedSources = append(k.undatedSources, s)
		}
	case k.dated && (rec.modified.Before(k.modified) || rec.modified.Equal(k.modified) && (k.withdrawn || !rec.withdrawn)):
		src.Older++ // of two that are as old, one that was withdrawn is the later
		for _, p := range parts {
			k.gaveWay(p.ecosystem)
		}
		return nil
	default:
		if k.dated {
			b.forget(k)
			b.sources[k.source].Older++
			for _, p := range k.parts {
				k.gaveWay(p.ecosystem)
			}
		}
		k.dated, k.source, k.modified, k.withdrawn, k.parts = true, s, rec.modified, rec.withdrawn, parts
	}
	switch {
	case rec.withdrawn:
		src.Withdrawn++
	case len(rec.parts) > 0:
		src.Records++
	}
	return nil
}

// forget takes the newest record of an id out of what its source counts.
func (b *builder) forget(k *kept) {
	switch {
	case k.withdrawn:
		b.sources[k.source].Withdrawn--
	case len(k.parts) > 0:
		b.sources[k.source].Records--
	}
}

// end closes a source. One without a single record is none: an empty folder, or a wrong one.
func (b *builder) end(s int, digest sallyport.Digest) error {
	src := &b.sources[s]
	src.Digest = digest
	if src.Records+src.Withdrawn+src.Older == 0 {
		return fmt.Errorf("%w: %s holds no OSV records of packages (%d JSON files are something else)", ErrSource, src.Path, src.NoRecords)
	}
	if err := src.own(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrSource, src.Path, err)
	}
	if src.AsOf.IsZero() {
		src.AsOf = src.newest
		if src.made.After(src.AsOf) {
			src.AsOf = src.made
		}
	}
	return nil
}

// A packageKey names a package in the index.
type packageKey struct{ ecosystem, key string }

// build makes the file.
func (b *builder) build() ([]byte, *Meta, error) {
	meta := &Meta{Format: Format, Built: b.now.UTC().Truncate(time.Second)}
	renumber := make([]int, len(b.sources))
	for i := range b.sources {
		renumber[i] = len(meta.Sources)
		if !b.sources[i].skip {
			meta.Sources = append(meta.Sources, b.sources[i].Source)
		}
	}
	packages := map[packageKey][]byte{}
	ecosystems := map[string]*EcosystemMeta{}
	for _, id := range b.order {
		k := b.ids[id]
		seen, bad := map[string]bool{}, map[string]bool{}
		parts, sources := k.all(), k.sources()
		for _, p := range parts {
			at := packageKey{p.ecosystem, p.key}
			e := ecosystems[p.ecosystem]
			if e == nil {
				e = &EcosystemMeta{Name: p.ecosystem}
				ecosystems[p.ecosystem] = e
			}
			if packages[at] == nil {
				e.Packages++
			}
			packages[at] = append(packages[at], p.body...)
			if !seen[p.ecosystem] {
				seen[p.ecosystem] = true
				e.Records++
				if k.modified.After(e.Newest) && !k.modified.After(b.now.Add(24*time.Hour)) {
					e.Newest = k.modified
				}
				for _, s := range sources {
					if n := renumber[s]; !slices.Contains(e.Sources, n) {
						e.Sources = append(e.Sources, n)
					}
				}
			}
			if p.malicious && !bad[p.ecosystem] {
				bad[p.ecosystem] = true
				e.Malicious++
			}
		}
		if len(parts) > 0 {
			meta.Records++
		}
	}
	if len(packages) == 0 {
		return nil, nil, fmt.Errorf("%w: no record is about a package and not withdrawn", ErrSource)
	}
	// A record that took another one back, or that is about other packages than it, is a source of what the database does not
	// say about the other's ecosystems. So it is as old as that source there, and as signed.
	for _, id := range b.order {
		k := b.ids[id]
		for _, name := range k.before {
			if e, n := ecosystems[name], renumber[k.source]; e != nil && !slices.Contains(e.Sources, n) {
				e.Sources = append(e.Sources, n)
			}
		}
	}
	for _, e := range ecosystems {
		covering := covers(meta.Sources, e.Name)
		e.Whole = len(covering) > 0
		if e.Whole && !slices.ContainsFunc(e.Sources, func(n int) bool { return slices.Contains(covering, n) }) {
			// Others have newer versions of all that it has. That there are no more records is its word, and as old.
			e.Sources = append(e.Sources, covering...)
		}
		slices.Sort(e.Sources)
		for i, n := range e.Sources {
			if at := meta.Sources[n].AsOf; i == 0 || at.Before(e.AsOf) {
				e.AsOf = at
			}
		}
		meta.Ecosystems = append(meta.Ecosystems, *e)
	}
	slices.SortFunc(meta.Ecosystems, func(x, y EcosystemMeta) int { return strings.Compare(x.Name, y.Name) })
	meta.Packages = len(packages)
	out, err := write(packages, meta)
	return out, meta, err
}

// write lays the packages out. The same records at the same time give the same bytes.
func write(packages map[packageKey][]byte, meta *Meta) ([]byte, error) {
	rows := uint32(1)
	for int(rows) < len(packages) && rows < maxRows {
		rows <<= 1
	}
	keys := make([][]packageKey, rows)
	for k := range packages {
		r := rowOf(k.ecosystem, k.key, rows)
		keys[r] = append(keys[r], k)
	}
	h := head{format: Format, rows: rows}
	seedOf := sha256.New()
	var table, data []byte
	start := h.buckets()
	buckets := make([][]byte, rows)
	for r := range rows {
		slices.SortFunc(keys[r], func(a, b packageKey) int {
			return strings.Compare(a.ecosystem+"\x00"+a.key, b.ecosystem+"\x00"+b.key)
		})
		var e encoder
		for _, k := range keys[r] {
			e.text(k.ecosystem)
			e.text(k.key)
			e.num(uint64(len(packages[k])))
			e.b = append(e.b, packages[k]...)
		}
		if len(e.b) > maxBucket {
			return nil, fmt.Errorf("%w: %d bytes about one package, the limit is %d", ErrSource, len(e.b), maxBucket)
		}
		buckets[r] = e.b
		seedOf.Write(e.b)
	}
	fmt.Fprintf(seedOf, "%d", meta.Built.UnixNano())
	h.seed = [16]byte(seedOf.Sum(nil))
	for r := range rows {
		table = binary.BigEndian.AppendUint64(table, start+uint64(len(data)))
		table = binary.BigEndian.AppendUint32(table, uint32(len(buckets[r]))) //nolint:gosec // bounded above
		sum := digest16(h.seed, r, buckets[r])
		table = append(table, sum[:]...)
		data = append(data, buckets[r]...)
		buckets[r] = nil
	}
	var sums []byte
	for page := range slices.Chunk(table, pageRows*rowSize) {
		sum := sha256.Sum256(page)
		sums = append(sums, sum[:]...)
	}
	meta.Digest = sallyport.SHA256(sums)
	body, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	if len(body) > maxMeta {
		return nil, fmt.Errorf("%w: too many sources", ErrSource)
	}
	h.meta, h.metaSize = start+uint64(len(data)), uint64(len(body))
	h.size = h.meta + h.metaSize
	out := make([]byte, 0, h.size)
	out = append(out, h.encode(body)...)
	out = append(out, table...)
	out = append(out, sums...)
	out = append(out, data...)
	return append(out, body...), nil
}
