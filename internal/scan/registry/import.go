package registry

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
)

// Bounds of a source.
const (
	MaxFile  = 2 << 30
	maxNames = 20_000_000 // of all sources
	maxName  = 1024
)

// ErrSource is wrapped by errors about a source that is not taken.
var ErrSource = errors.New("the source of names is not taken")

// An Origin is a file to import from.
type Origin struct {
	Type string // of package URLs
	Path string
	AsOf time.Time // when it was made, if its bringer knows
	// Pins are digests of which the file's has to be one, if there are any.
	Pins []sallyport.Digest
}

// Import puts an index of exactly the names in the origins in the place of the one at path, or leaves that as it is and
// returns an error.
func Import(ctx context.Context, path string, origins []Origin, now time.Time) (*Meta, error) {
	meta := &Meta{Format: Format, Built: now.UTC().Truncate(time.Second)}
	var all []record
	for _, o := range origins {
		if !slices.Contains(Types, o.Type) {
			return nil, fmt.Errorf("%w: %.40q is no ecosystem whose names are kept; there are %s", ErrSource, o.Type, strings.Join(Types, ", "))
		}
		if _, twice := meta.Ecosystem(o.Type); twice {
			return nil, fmt.Errorf("%w: there are two files of %s", ErrSource, o.Type)
		}
		e, records, err := readFile(ctx, o, now, maxNames-len(all))
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSource, o.Path, err)
		}
		meta.Ecosystems = append(meta.Ecosystems, e)
		all = append(all, records...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: no names", ErrSource)
	}
	slices.SortFunc(meta.Ecosystems, func(a, b Ecosystem) int { return strings.Compare(a.Type, b.Type) })
	file, err := build(all, meta)
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(path, file, 0o600); err != nil {
		return nil, fmt.Errorf("keep the index of names: %w", err)
	}
	return meta, nil
}

// build makes the file. The same names at the same time give the same bytes.
func build(all []record, meta *Meta) ([]byte, error) {
	slices.SortFunc(all, compare)
	meta.Names = len(all)
	data := make([]byte, 0, len(all)*recordSize)
	for _, r := range all {
		data = append(data, r.hash[:]...)
		data = binary.BigEndian.AppendUint32(data, r.day)
	}
	var dir []byte
	pages := uint32(0)
	for page := range slices.Chunk(data, pageSize) {
		sum := sha256.Sum256(page)
		dir = append(append(dir, page[:hashSize]...), sum[:]...)
		pages++
	}
	meta.Digest = sallyport.SHA256(dir)
	body, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, headSize+len(body)+len(dir)+len(data))
	out = append(out, magic...)
	out = binary.BigEndian.AppendUint32(out, Format)
	out = binary.BigEndian.AppendUint32(out, uint32(len(body))) //nolint:gosec // some lines about each ecosystem
	out = binary.BigEndian.AppendUint32(out, pages)
	sum := sha256.Sum256(append(slices.Clone(out), body...))
	out = append(append(out, sum[:]...), body...)
	return append(append(out, dir...), data...), nil
}

func readFile(ctx context.Context, o Origin, now time.Time, most int) (Ecosystem, []record, error) {
	e := Ecosystem{Type: o.Type, Source: filepath.Base(o.Path), AsOf: o.AsOf.UTC()}
	f, err := os.Open(o.Path)
	if err != nil {
		return e, nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > MaxFile {
		return e, nil, fmt.Errorf("it is no file of at most %d bytes", int64(MaxFile))
	}
	h := sha256.New()
	names, err := readNames(ctx, io.TeeReader(io.LimitReader(f, MaxFile), h), o.Type, now, most)
	if err != nil {
		return e, nil, err
	}
	e.Digest = sallyport.Digest(fmt.Sprintf("sha256:%x", h.Sum(nil)))
	if len(o.Pins) > 0 && !slices.Contains(o.Pins, e.Digest) {
		return e, nil, fmt.Errorf("it is %s, which is not pinned", e.Digest)
	}
	// A name that stands there twice is as old as the earlier says.
	slices.SortFunc(names, compare)
	out := names[:0]
	for _, r := range names {
		if n := len(out); n > 0 && out[n-1].hash == r.hash {
			if out[n-1].day == 0 {
				out[n-1].day = r.day
			}
			continue
		}
		out = append(out, r)
	}
	latest := uint32(0)
	for _, r := range out {
		if r.day > 0 {
			e.Dated++
			latest = max(latest, r.day)
		}
	}
	if e.Names = len(out); e.Names == 0 {
		return e, nil, errors.New("it has no names")
	}
	if e.AsOf.IsZero() && latest > 0 {
		e.AsOf = time.Unix(int64(latest)*86400, 0).UTC()
	}
	return e, out, nil
}

// readNames reads a file in any of its forms, to its end.
func readNames(ctx context.Context, r io.Reader, typ string, now time.Time, most int) (names []record, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	add := func(name, date string) error {
		if len(names)%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if len(names) >= most {
			return fmt.Errorf("more than %d names", maxNames)
		}
		if !plain(name) {
			return fmt.Errorf("%.80q is no name of a package", name)
		}
		d, err := day(date, now)
		if err != nil {
			return fmt.Errorf("%.80q: %w", name, err)
		}
		names = append(names, record{hash(typ, name), d})
		return nil
	}
	first, err := begin(b)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	case first == '[' || first == '{':
		err = readJSON(b, add)
	default:
		err = readLines(b, add)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, b) // so that all of it is in the digest
	}
	return names, err
}

// begin skips white space, and returns what follows it without taking it.
func begin(b *bufio.Reader) (byte, error) {
	for {
		c, err := b.Peek(1)
		if err != nil {
			return 0, err
		}
		if !strings.ContainsRune(" \t\r\n", rune(c[0])) {
			return c[0], nil
		}
		_, _ = b.Discard(1) // it is there
	}
}

func readLines(b *bufio.Reader, add func(name, date string) error) error {
	lines := bufio.NewScanner(b)
	lines.Buffer(make([]byte, 4096), 2*maxName)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		date := ""
		if len(fields) == 2 {
			date = fields[1]
		}
		err := errors.New("it is no name, and no name with a day")
		if len(fields) <= 2 {
			err = add(fields[0], date)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

func readJSON(b *bufio.Reader, add func(name, date string) error) error {
	d := json.NewDecoder(b)
	t, err := d.Token()
	if err != nil {
		return err
	}
	object := t == json.Delim('{')
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return errors.New("its JSON holds something else than names")
		}
		date := ""
		if object {
			v, err := d.Token()
			if err != nil {
				return err
			}
			if date, ok = v.(string); !ok && v != nil {
				return fmt.Errorf("%.80q: what stands beside it is no day", name)
			}
		}
		if err := add(name, date); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind its JSON")
	}
	return nil
}

// day is the day of a date, counted from 1970, or 0 if there is none.
func day(s string, now time.Time) (uint32, error) {
	if s == "" {
		return 0, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		if t, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return 0, fmt.Errorf("%.40q is no day", s)
		}
	}
	if t.Year() < 1990 || t.After(now.Add(48*time.Hour)) {
		return 0, fmt.Errorf("%.40q is no day on which a package was published", s)
	}
	return uint32(t.Unix() / 86400), nil //nolint:gosec // between 1990 and now
}

func plain(s string) bool {
	return s != "" && len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
}
