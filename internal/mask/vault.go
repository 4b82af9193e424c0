package mask

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A Vault keeps what one run has masked: each value has one sentinel, which names its kind and a number.
// It is safe for concurrent use. Nothing of it is written anywhere.
type Vault struct {
	form form2

	mu       sync.RWMutex
	byValue  map[string]*entry // by kind, value and way of writing
	bySign   map[string]*entry // by sentinel
	count    map[Kind]int
	distinct map[Kind]map[string]struct{}
	longest  int // of a sentinel
}

// form2 is how sentinels begin and end.
type form2 struct{ open, close string }

var (
	brackets = form2{"\u27e6", "\u27e7"}
	ascii    = form2{"[[MASKED:", "]]"}
)

// maxSentinel bounds what may be one: what goes on longer than this is none.
const maxSentinel = 160

// An entry is one value in one way of writing it.
type entry struct {
	kind  Kind
	sign  string
	value []byte // as it reads
	raw   []byte // as it was written in a string of JSON, if that is not how it would be written now
	bare  bool   // it was a number of JSON
}

// NewVault returns an empty vault, whose sentinels look like ⟦secret:aws-access-key:1⟧.
func NewVault() *Vault { return newVault(brackets) }

// NewASCIIVault returns one for tools that pass ASCII alone, with sentinels like [[MASKED:secret:jwt:1]].
func NewASCIIVault() *Vault { return newVault(ascii) }

func newVault(f form2) *Vault {
	return &Vault{form: f, byValue: map[string]*entry{}, bySign: map[string]*entry{}, count: map[Kind]int{}, distinct: map[Kind]map[string]struct{}{}}
}

// Mask appends text to dst with each finding replaced by its sentinel. Findings must be in order and
// must not overlap, as Find and FindJSON return them.
func (v *Vault) Mask(dst, text []byte, found []Finding) []byte {
	at := 0
	for _, f := range found {
		if f.Start < at || f.End > len(text) || f.Start >= f.End {
			continue
		}
		dst = append(dst, text[at:f.Start]...)
		if f.Bare {
			dst = append(append(append(dst, '"'), v.sign(f, text)...), '"')
		} else {
			dst = append(dst, v.sign(f, text)...)
		}
		at = f.End
	}
	return append(dst, text[at:]...)
}

// sign returns the sentinel of what f covers, a new one if the vault has none.
func (v *Vault) sign(f Finding, text []byte) string {
	raw := text[f.Start:f.End]
	value := raw
	var written []byte
	if f.Escaped {
		if plain, ok := unescape(raw); ok {
			value = plain
		}
		if !bytes.Equal(appendEscaped(nil, value), raw) {
			written = raw
		}
	}
	key := keyOf(f.Kind, value, written, f.Bare)
	v.mu.RLock()
	e := v.byValue[key]
	v.mu.RUnlock()
	if e != nil {
		return e.sign
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.byValue[key]; e != nil {
		return e.sign
	}
	kind := f.Kind
	if len(kind) > maxSentinel/2 {
		kind = kind[:maxSentinel/2]
	}
	e = &entry{kind: f.Kind, value: bytes.Clone(value), raw: bytes.Clone(written), bare: f.Bare}
	for {
		v.count[f.Kind]++
		e.sign = v.form.open + string(kind) + ":" + strconv.Itoa(v.count[f.Kind]) + v.form.close
		// A text that already holds a sentinel keeps it: no other value may get it.
		if _, taken := v.bySign[e.sign]; !taken && !bytes.Contains(text, []byte(e.sign)) {
			break
		}
	}
	v.keep(key, e)
	return e.sign
}

// keyOf tells values apart, also those that are written in two ways.
func keyOf(kind Kind, value, written []byte, bare bool) string {
	mark := "\x00"
	if bare {
		mark = "\x01"
	}
	return string(kind) + mark + strconv.Itoa(len(value)) + "\x00" + string(value) + string(written)
}

// keep notes an entry. The caller holds the lock.
func (v *Vault) keep(key string, e *entry) {
	v.byValue[key], v.bySign[e.sign] = e, e
	v.longest = max(v.longest, len(e.sign))
	if v.distinct[e.kind] == nil {
		v.distinct[e.kind] = map[string]struct{}{}
	}
	v.distinct[e.kind][string(e.value)] = struct{}{}
}

// Counts returns how many different values of each kind the vault holds.
func (v *Vault) Counts() map[Kind]int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	counts := make(map[Kind]int, len(v.distinct))
	for k, values := range v.distinct {
		counts[k] = len(values)
	}
	return counts
}

// Kinds returns the kinds that the vault holds.
func (v *Vault) Kinds() []Kind {
	counts := v.Counts()
	out := make([]Kind, 0, len(counts))
	out = slices.AppendSeq(out, maps.Keys(counts))
	slices.Sort(out)
	return out
}

// NoSecrets lets everything back but secrets: what is allowed unless policy says otherwise.
func NoSecrets(k Kind) bool { return !k.Secret() }

// Unmask appends text to dst, with the value back in the place of each sentinel of the vault whose kind
// allow lets through; a nil allow lets nothing.
func (v *Vault) Unmask(dst, text []byte, allow func(Kind) bool) []byte {
	return v.unmask(dst, text, allow, false)
}

// UnmaskJSON does the same inside strings of JSON, where values are written with escapes.
func (v *Vault) UnmaskJSON(dst, text []byte, allow func(Kind) bool) []byte {
	return v.unmask(dst, text, allow, true)
}

func (v *Vault) unmask(dst, text []byte, allow func(Kind) bool, escaped bool) []byte {
	open, begin := []byte(v.form.open), len(dst)
	for len(text) > 0 {
		i := bytes.Index(text, open)
		if i < 0 {
			break
		}
		dst = append(dst, text[:i]...)
		text = text[i:]
		n, e := v.at(text)
		if e == nil || allow == nil || !allow(e.kind) {
			n = max(n, len(open))
			if e == nil {
				n = len(open)
			}
			dst = append(dst, text[:n]...)
			text = text[n:]
			continue
		}
		if k := len(dst) - 1; escaped && e.bare && k >= begin && dst[k] == '"' && (k == begin || dst[k-1] != '\\') && n < len(text) && text[n] == '"' {
			dst, n = dst[:k], n+1 // a number again, and no string
			dst = append(dst, e.value...)
		} else {
			dst = e.restore(dst, escaped)
		}
		text = text[n:]
	}
	return append(dst, text...)
}

func (e *entry) restore(dst []byte, escaped bool) []byte {
	switch {
	case !escaped:
		return append(dst, e.value...)
	case e.raw != nil:
		return append(dst, e.raw...)
	}
	return appendEscaped(dst, e.value)
}

// at returns the sentinel with which text begins, and its length.
func (v *Vault) at(text []byte) (int, *entry) {
	limit := min(len(text), maxSentinel+8)
	i := bytes.Index(text[len(v.form.open):max(limit, len(v.form.open))], []byte(v.form.close))
	if i < 0 {
		return 0, nil
	}
	n := len(v.form.open) + i + len(v.form.close)
	v.mu.RLock()
	e := v.bySign[string(text[:n])]
	v.mu.RUnlock()
	return n, e
}

// unescape returns what the inside of a JSON string reads as.
func unescape(raw []byte) ([]byte, bool) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		r, n := escape(raw, i)
		if n == 0 {
			return nil, false
		}
		out = utf8.AppendRune(out, r)
		i += n
	}
	return out, true
}

// appendEscaped appends value as the inside of a JSON string.
func appendEscaped(dst, value []byte) []byte {
	simple := true
	for _, b := range value {
		if !plain[b] {
			simple = false
			break
		}
	}
	if simple {
		return append(dst, value...)
	}
	for i, b := range value {
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b == '\n':
			dst = append(dst, '\\', 'n')
		case b == '\r':
			dst = append(dst, '\\', 'r')
		case b == '\t':
			dst = append(dst, '\\', 't')
		case b < 0x20:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[b>>4], "0123456789abcdef"[b&15])
		default:
			dst = append(dst, value[i])
		}
	}
	return dst
}

// A saved vault is what Save writes.
type savedVault struct {
	Version int          `json:"version"`
	ASCII   bool         `json:"ascii,omitempty"`
	Entries []savedEntry `json:"entries"`
}

type savedEntry struct {
	Sentinel string `json:"sentinel"`
	Kind     Kind   `json:"kind"`
	Value    []byte `json:"value"`
	Raw      []byte `json:"raw,omitempty"`
	Bare     bool   `json:"bare,omitempty"`
}

// Save writes the vault, values and all: whoever reads it has the secrets.
func (v *Vault) Save() ([]byte, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := savedVault{Version: 1, ASCII: v.form == ascii, Entries: []savedEntry{}}
	for _, e := range v.bySign {
		out.Entries = append(out.Entries, savedEntry{e.sign, e.kind, e.value, e.raw, e.bare})
	}
	slices.SortFunc(out.Entries, func(a, b savedEntry) int { return cmp.Compare(a.Sentinel, b.Sentinel) })
	return sallyport.EncodeJSON(out)
}

// maxVault bounds a saved vault.
const maxVault = 64 << 20

// LoadVault reads what Save wrote.
func LoadVault(b []byte) (*Vault, error) {
	var in savedVault
	if err := strict.JSON(b, maxVault, &in); err != nil {
		return nil, fmt.Errorf("read the vault: %w", err)
	}
	if in.Version != 1 {
		return nil, fmt.Errorf("read the vault: version %d is not known here", in.Version)
	}
	v := NewVault()
	if in.ASCII {
		v = NewASCIIVault()
	}
	for _, s := range in.Entries {
		inner, ok1 := strings.CutPrefix(s.Sentinel, v.form.open)
		inner, ok2 := strings.CutSuffix(inner, v.form.close)
		i := strings.LastIndexByte(inner, ':')
		n, err := strconv.Atoi(inner[i+1:])
		if !ok1 || !ok2 || i < 1 || err != nil || n < 1 || len(s.Value) == 0 || v.bySign[s.Sentinel] != nil || len(s.Sentinel) > maxSentinel {
			return nil, fmt.Errorf("read the vault: %q is no sentinel, or stands there twice", s.Sentinel)
		}
		e := &entry{kind: s.Kind, sign: s.Sentinel, value: s.Value, raw: s.Raw, bare: s.Bare}
		v.keep(keyOf(s.Kind, s.Value, s.Raw, s.Bare), e)
		v.count[s.Kind] = max(v.count[s.Kind], n)
	}
	return v, nil
}
