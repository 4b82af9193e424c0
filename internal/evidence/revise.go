package evidence

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A Revision is a change to one key of a trust.yaml, made in its text, so that comments and
// order stay. At least one field beside Name is set.
type Revision struct {
	Name string // of the key or identity

	// Revoke revokes it. What is revoked already can be revoked for compromise, or from an
	// earlier time; no revocation is taken back or softened.
	Revoke *Revocation
	// Until is the last day on which it counts; one that is earlier already stays.
	Until time.Time
	// Successor is a new key beside it, with its principal, types and grade.
	Successor *Successor
}

// A Successor is a key that takes another's place.
type Successor struct {
	Name   string
	Public string    // PEM, or an SSH authorized-key line
	From   time.Time // the first day on which it counts
}

// Errors of [Revise] that callers tell apart.
var (
	ErrNoSuchKey = errors.New("the trust file names no such key")
	ErrRevision  = errors.New("the trust file cannot be changed like that")
)

// Revise returns b with the revision made. The result is parsed and compared: if anything differs
// from b but what was asked for, the revision fails, and has to be made by hand.
func Revise(b []byte, r Revision) ([]byte, error) {
	old, err := ParseTrust(b)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(old.Keys, func(k Key) bool { return k.Name == r.Name })
	if i < 0 {
		return nil, fmt.Errorf("%w: %.100q", ErrNoSuchKey, r.Name)
	}
	want := slices.Clone(old.Keys)
	set, err := r.apply(&want[i])
	if err != nil {
		return nil, err
	}
	text, err := openTrustText(b, r.Name)
	if err != nil {
		return nil, err
	}
	added := ""
	if r.Successor != nil {
		added = r.Successor.entry(old.Keys[i], strings.Repeat(" ", text.dash))
	}
	out, err := text.with(set, added)
	if err != nil {
		return nil, err
	}
	got, err := ParseTrust(out)
	if err != nil {
		return nil, fmt.Errorf("%w: with the change it says something that cannot be read (%w)", ErrRevision, err)
	}
	rest := got.Keys
	if r.Successor != nil {
		rest = slices.DeleteFunc(slices.Clone(got.Keys), func(k Key) bool { return k.Name == r.Successor.Name })
	}
	if !reflect.DeepEqual(rest, want) || len(got.Keys)-len(rest) > 1 {
		return nil, fmt.Errorf("%w: its text says something else than meant; change it by hand", ErrRevision)
	}
	return out, nil
}

// A line to set in an entry.
type trustLine struct{ key, value string }

// apply makes the revision of k itself, and returns it as lines.
func (r Revision) apply(k *Key) ([]trustLine, error) {
	var set []trustLine
	if n := r.Revoke; n != nil {
		at := n.At.UTC().Truncate(time.Second)
		if o := k.Revoked; o != nil {
			harder := n.Reason == Compromised && o.Reason != Compromised
			earlier := n.Reason == o.Reason && at.Before(o.At)
			if !harder && !earlier {
				return nil, fmt.Errorf("%w: %q is %s already, and no revocation is taken back or softened", ErrRevision, k.Name, *o)
			}
			if o.At.Before(at) {
				at = o.At
			}
		}
		k.Revoked = &Revocation{At: at, Reason: n.Reason}
		set = append(set, trustLine{"revoked", fmt.Sprintf("{at: %s, reason: %s}", at.Format(time.RFC3339), n.Reason)})
	}
	if day := r.Until; !day.IsZero() {
		first := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC)
		last := first.AddDate(0, 0, 1).Add(-time.Nanosecond)
		if k.NotAfter.IsZero() || last.Before(k.NotAfter) {
			k.NotAfter = last
			set = append(set, trustLine{"not_after", first.Format(time.DateOnly)})
		}
	}
	return set, nil
}

// plain is a scalar that needs no quotes, in a flow sequence neither.
var plain = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.@/-]*(:[A-Za-z0-9_.@/#-]+)*$`)
})

func scalar(s string) string {
	if plain().MatchString(s) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off"}, strings.ToLower(s)) {
		return s
	}
	b, err := sallyport.EncodeJSON(s)
	if err != nil {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return string(b)
}

// entry returns the successor of k as an item of a sequence.
func (s Successor) entry(k Key, indent string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, indent+"  "+format+"\n", args...) }
	fmt.Fprintf(&b, "%s- name: %s\n", indent, scalar(s.Name))
	if public := strings.TrimSpace(s.Public); strings.Contains(public, "\n") {
		line("key: |")
		for l := range strings.SplitSeq(public, "\n") {
			line("  %s", l)
		}
	} else {
		line("key: %s", public)
	}
	if k.Run == nil {
		line("principal: {kind: %s, name: %s}", k.Principal.Kind, scalar(k.Principal.Name))
	}
	line("types:")
	for _, t := range k.Types {
		line("  - %s", scalar(t))
	}
	line("grade: %s", k.Grade)
	if k.Run != nil {
		k.Run.write(line)
	}
	if !s.From.IsZero() {
		line("not_before: %s", s.From.UTC().Format(time.DateOnly))
	}
	return b.String()
}

// A trustText is the text of a trust.yaml with the place of one entry.
type trustText struct {
	lines []string // without their ends
	dash  int      // columns before the entry's dash
	keys  int      // columns before its keys
	end   int      // index of the line after the entry
	at    map[string]int
}

// openTrustText finds the entry of the given name. It knows entries as people write them, a key to
// a line; in any other shape they are changed by hand.
func openTrustText(b []byte, name string) (trustText, error) {
	byHand := func(why string) (trustText, error) {
		return trustText{}, fmt.Errorf("%w: the entry of %q %s; change it by hand", ErrRevision, name, why)
	}
	docs, err := strict.YAMLNodes(b, MaxTrust)
	if err != nil || len(docs) != 1 || strings.Contains(string(b), "\r") {
		return byHand("is in a file of another shape")
	}
	var entry *strict.Node
	for _, section := range []string{"keys", "identities", "run_authorities"} {
		if list := docs[0].Get(section); list != nil {
			for _, item := range list.Items {
				if item.Get("name").Text() == name {
					entry = item
				}
			}
		}
	}
	if entry == nil || len(entry.Pairs) == 0 {
		return byHand("cannot be found")
	}
	t := trustText{lines: strings.Split(string(b), "\n"), at: map[string]int{}}
	first := slices.MinFunc(entry.Pairs, func(a, b strict.Pair) int { return a.Line - b.Line }).Line - 1
	m := regexp.MustCompile(`^( *)(- +)[a-z_]+:`).FindStringSubmatch(t.lines[first])
	if m == nil {
		return byHand("does not begin with a dash and a key on one line")
	}
	t.dash, t.keys = len(m[1]), len(m[1])+len(m[2])
	for _, p := range entry.Pairs {
		t.at[p.Key] = p.Line - 1
	}
	for t.end = first + 1; t.end < len(t.lines); t.end++ {
		if l := t.lines[t.end]; strings.TrimSpace(l) != "" && len(l)-len(strings.TrimLeft(l, " ")) <= t.dash {
			break
		}
	}
	for strings.TrimSpace(t.lines[t.end-1]) == "" {
		t.end--
	}
	return t, nil
}

// with returns the text with lines set in the entry, and added after it.
func (t trustText) with(set []trustLine, added string) ([]byte, error) {
	lines := slices.Clone(t.lines)
	if added != "" {
		lines = slices.Insert(lines, t.end, strings.Split(strings.TrimSuffix(added, "\n"), "\n")...)
	}
	insert := []string{}
	for _, s := range set {
		i, there := t.at[s.key]
		if !there {
			insert = append(insert, strings.Repeat(" ", t.keys)+s.key+": "+s.value)
			continue
		}
		m := regexp.MustCompile(`^( *(?:- +)?)` + s.key + `: *(?:\{[^{}#]*\}|[^#{}|>&*!]*?)( +#.*)?$`).FindStringSubmatch(lines[i])
		if m == nil {
			return nil, fmt.Errorf("%w: %s stands on several lines; change it by hand", ErrRevision, s.key)
		}
		lines[i] = m[1] + s.key + ": " + s.value + m[2]
	}
	if name := t.at["name"]; len(insert) > 0 {
		lines = slices.Insert(lines, name+1, insert...)
	}
	return []byte(strings.Join(lines, "\n")), nil
}
