package policy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport-dev/sallyport"
)

// Codes that this package itself gives to reasons.
const (
	CodePolicy     = "policy"      // a rule said a sentence and no code
	CodeNotAllowed = "not-allowed" // the set defines allow, and it is not true
)

// A Verdict is what the sets make of one input. The zero Verdict is shut.
type Verdict struct {
	Outcome sallyport.Outcome  `json:"outcome"`
	Reasons []sallyport.Reason `json:"reasons"` // by severity, code and place; empty if and only if open
	PerSet  []SetVerdict       `json:"per_set"`
	// Excepted are the reasons that an exception holds off; they are not among Reasons.
	Excepted []sallyport.Excepted `json:"excepted,omitempty"`
}

// A SetVerdict is what one set makes of it.
type SetVerdict struct {
	Name    string            `json:"name"`
	Digest  sallyport.Digest  `json:"digest"`
	Outcome sallyport.Outcome `json:"outcome"`
	Codes   []string          `json:"codes"` // sorted, each once
}

// Evaluate asks every set about input at gate, which is a JSON encoding of [sallyport.Input] at the
// merge gate and of [sallyport.ReleaseInput] at the release gate. On any error the verdict is the
// zero one, and no decision could be made.
func (e *Evaluator) Evaluate(ctx context.Context, gate sallyport.Gate, input []byte) (Verdict, error) {
	shape, known := gates[gate]
	if !known || len(e.sets) > 0 && gate != e.gate {
		return Verdict{}, fmt.Errorf("%w: no policy set judges the %s gate", ErrUndefined, gate)
	}
	doc, err := parseDocument(input, shape())
	if err != nil {
		return Verdict{}, err
	}
	if len(e.sets) == 0 { // the zero Evaluator
		return Verdict{}, ErrEmpty
	}
	now, err := momentOf(doc)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Outcome: sallyport.Open, Reasons: []sallyport.Reason{}, Excepted: now.holdFindings(e.sets[0])}
	for _, c := range e.sets {
		reasons, err := c.judge(ctx, doc)
		if err != nil {
			return Verdict{}, err
		}
		for i := range reasons {
			reasons[i] = c.stamp(reasons[i], e.data.Modes, now)
		}
		slices.SortFunc(reasons, compareReasons)
		reasons, off := now.hold(reasons)
		v.Excepted = append(v.Excepted, off...)
		sv := SetVerdict{Name: c.loaded.set.Name, Digest: c.digest, Outcome: sallyport.Open, Codes: []string{}}
		for _, r := range reasons {
			sv.Outcome = min(sv.Outcome, r.Outcome)
			sv.Codes = append(sv.Codes, r.Code)
		}
		slices.Sort(sv.Codes)
		sv.Codes = slices.Compact(sv.Codes)
		v.Outcome = min(v.Outcome, sv.Outcome)
		v.PerSet = append(v.PerSet, sv)
		v.Reasons = append(v.Reasons, reasons...)
	}
	slices.SortStableFunc(v.Reasons, compareReasons)
	return v, nil
}

// judge asks one set and returns its reasons in no particular order.
func (c *compiled) judge(ctx context.Context, doc ast.Object) ([]sallyport.Reason, error) {
	input := ast.NewTerm(doc)
	name := c.loaded.set.Name
	fill := placeholders(doc)
	var reasons []sallyport.Reason
	if c.deny != nil {
		answer, err := c.eval(ctx, c.deny, input)
		if err != nil {
			return nil, err
		}
		deny, ok := answer.(ast.Set)
		switch {
		case answer == nil:
			return nil, fmt.Errorf("%w: set %s: %s is undefined", ErrUndefined, name, c.denyRef)
		case !ok:
			return nil, fmt.Errorf("%w: set %s: %s is no set but %s", ErrUndefined, name, c.denyRef, ast.ValueName(answer))
		case deny.Len() > maxReasons:
			return nil, fmt.Errorf("%w: set %s gives %d reasons, the limit is %d", ErrEval, name, deny.Len(), maxReasons)
		}
		deny.Foreach(func(t *ast.Term) { reasons = append(reasons, c.reason(t.Value, fill)) })
	}
	if c.allow != nil {
		answer, err := c.eval(ctx, c.allow, input)
		if err != nil {
			return nil, err
		}
		if allowed, ok := answer.(ast.Boolean); !ok || !bool(allowed) {
			text := fmt.Sprintf("%s of policy set %s is not true", c.allowRef, name)
			reasons = append(reasons, c.explain(sallyport.Reason{Code: CodeNotAllowed, Text: text}, fill))
		}
	}
	return reasons, nil
}

// reason reads one member of deny. Whatever it is, it keeps the gate from opening.
func (c *compiled) reason(v ast.Value, fill *strings.Replacer) sallyport.Reason {
	r := sallyport.Reason{Code: CodePolicy, Outcome: sallyport.Shut}
	switch v := v.(type) {
	case ast.String:
		r.Text = clean(string(v))
	case ast.Object:
		if code := str(v, "code"); code != "" {
			r.Code = code
		}
		if str(v, "outcome") == sallyport.Waiting.String() {
			r.Outcome = sallyport.Waiting
		}
		r.Severity = sallyport.Severity(str(v, "severity"))
		r.Title, r.Text, r.Place, r.Next = str(v, "title"), str(v, "text"), str(v, "place"), str(v, "next")
		r.Labels, r.Looked = list(v, "labels"), list(v, "looked")
		r.Paths, r.Finding, r.Rule, r.Package = pathsOf(v), str(v, "finding"), str(v, "rule"), str(v, "package")
		r.Subject = sallyport.Digest(str(v, "subject"))
		if r.Text == "" {
			r.Text = str(v, "msg") // what Rego written for other tools calls it
		}
	default:
		r.Text = clean(v.String())
	}
	return c.explain(r, fill)
}

// explain adds what the rule table says to what the reason leaves open.
func (c *compiled) explain(r sallyport.Reason, fill *strings.Replacer) sallyport.Reason {
	r.Set = c.loaded.set.Name
	rule := c.rules[r.Code]
	if r.Severity.Rank() == 0 {
		r.Severity = rule.Severity
	}
	if r.Title == "" {
		r.Title = rule.Title
	}
	if r.Labels == nil {
		r.Labels = rule.Labels
	}
	if r.Next == "" {
		r.Next = fill.Replace(rule.Remedy)
	}
	if r.Text == "" {
		r.Text = cmp.Or(r.Title, "the rule does not say why")
	}
	return r
}

// placeholders returns what fills "{head}" in a remedy, which a reader may paste into a shell:
// only digests do.
func placeholders(doc ast.Object) *strings.Replacer {
	head := "HEAD"
	if change := doc.Get(ast.StringTerm("change")); change != nil {
		if o, ok := change.Value.(ast.Object); ok {
			if d, err := sallyport.ParseDigest(str(o, "head")); err == nil {
				head = string(d)
			}
		}
	}
	return strings.NewReplacer("{head}", head)
}

func compareReasons(a, b sallyport.Reason) int {
	return cmp.Or(
		cmp.Compare(b.Severity.Rank(), a.Severity.Rank()),
		cmp.Compare(a.Code, b.Code),
		cmp.Compare(a.Place, b.Place),
		cmp.Compare(a.Outcome, b.Outcome),
		cmp.Compare(a.Text, b.Text),
		cmp.Compare(a.Set, b.Set),
		cmp.Compare(a.Title, b.Title),
		cmp.Compare(a.Next, b.Next),
	)
}

func str(o ast.Object, key string) string {
	if t := o.Get(ast.StringTerm(key)); t != nil {
		if s, ok := t.Value.(ast.String); ok {
			return clean(string(s))
		}
	}
	return ""
}

// list reads an array or a set of strings; a set comes out sorted.
func list(o ast.Object, key string) []string {
	t := o.Get(ast.StringTerm(key))
	if t == nil {
		return nil
	}
	var out []string
	add := func(t *ast.Term) {
		if s, ok := t.Value.(ast.String); ok && len(out) < 100 {
			out = append(out, clean(string(s)))
		}
	}
	switch v := t.Value.(type) {
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
		slices.Sort(out)
	}
	return out
}

// maxText bounds one string of a reason, in bytes.
const maxText = 2000

// clean makes what a rule says safe to print and bounds it: rules put names together that
// agents chose, and a name can hold an escape sequence or a bidirectional control.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > maxText {
		cut := maxText
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRuneToASCII(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}
