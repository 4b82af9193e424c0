package record

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Facts are what bodies of different kinds say in the same words: what search looks for and exports
// name. A body that does not say something leaves it empty.
type Facts struct {
	ID         string   // of the request that the entry belongs to
	Principal  string   //
	Operator   string   //
	Run        string   // for a gateway: the run that asked
	Repository string   //
	Provider   string   //
	Operation  string   //
	Models     []string //
	Tools      []string //
	Secrets    []string // kinds of what was masked, such as secret:aws-access-key
	Path       string
	Address    string
	Code       string // why something was refused, or how it failed
	Text       string
	Outcome    string
	Status     int64
	Input      int64 // tokens
	Output     int64
	Took       time.Duration
}

// Facts reads the words that bodies share. It never fails: a body that says something in another way
// does not say it.
func (e *Entry) Facts() Facts {
	var m map[string]json.RawMessage
	if strict.LaxJSON(e.Body, MaxEntry, &m) != nil {
		return Facts{}
	}
	f := Facts{
		ID: word(m["id"]), Principal: word(m["principal"]), Operator: word(m["operator"]), Run: word(m["run"]),
		Repository: word(m["repository"]), Provider: word(m["provider"]), Operation: word(m["operation"]),
		Models: append(words(m["models"]), words(m["model"])...), Tools: append(words(m["tools"]), words(m["tool"])...),
		Secrets: words(m["masked"]), Path: word(m["path"]), Address: word(m["address"]),
		Code: word(m["code"]), Text: word(m["text"]), Outcome: word(m["outcome"]), Status: number(m["status"]),
		Took: time.Duration(number(m["took_us"])) * time.Microsecond,
	}
	if e.Kind == KindTool && len(f.Tools) == 0 {
		f.Tools = words(m["name"])
	}
	var usage struct{ Input, Output int64 }
	if json.Unmarshal(m["usage"], &usage) == nil {
		f.Input, f.Output = usage.Input, usage.Output
	}
	return f
}

// word reads a string, or the name of an object that has one.
func word(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var o struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	if json.Unmarshal(raw, &o) == nil {
		if o.Name != "" {
			return o.Name
		}
		return o.Kind
	}
	return ""
}

// words reads a word, a list of them, or the keys of an object of numbers.
func words(raw json.RawMessage) []string {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		var out []string
		for _, x := range list {
			if s := word(x); s != "" {
				out = append(out, s)
			}
		}
		return out
	}
	var counts map[string]float64
	if json.Unmarshal(raw, &counts) == nil && len(counts) > 0 {
		var out []string
		for k := range counts {
			out = append(out, k)
		}
		slices.Sort(out)
		return out
	}
	if s := word(raw); s != "" {
		return []string{s}
	}
	return nil
}

func number(raw json.RawMessage) int64 {
	var n int64
	if json.Unmarshal(raw, &n) != nil {
		return 0
	}
	return n
}

// A Filter selects entries. Its zero value selects all; every field that is set has to fit.
type Filter struct {
	Run        string // the record's, or the one that asked a gateway
	Model      string // a whole name, or one that begins so if it ends in *
	Principal  string // who asked, or the operator
	Secret     string // a kind of secret or personal datum, whole or ending in *
	Tool       string
	Kinds      []Kind
	Since      time.Time // the first that fits
	Until      time.Time // the first that does not
	Commitment string    // a digest that the entry commits to
}

// Match reports whether an entry of the record with header h is selected.
func (f *Filter) Match(h *Header, e *Entry) bool {
	switch {
	case len(f.Kinds) > 0 && !slices.Contains(f.Kinds, e.Kind),
		!f.Since.IsZero() && e.Time.Before(f.Since),
		!f.Until.IsZero() && !e.Time.Before(f.Until),
		f.Commitment != "" && !slices.ContainsFunc(e.Commits, func(c CommitRef) bool { return string(c.Digest) == f.Commitment }):
		return false
	case f.Run == "" && f.Model == "" && f.Principal == "" && f.Secret == "" && f.Tool == "":
		return true
	}
	x := e.Facts()
	return fits(f.Run, h.Run, x.Run) && fits(f.Model, x.Models...) && fits(f.Secret, x.Secrets...) && fits(f.Tool, x.Tools...) &&
		fits(f.Principal, x.Principal, x.Operator, h.Operator)
}

func fits(want string, have ...string) bool {
	if want == "" {
		return true
	}
	prefix, open := strings.CutSuffix(want, "*")
	return slices.ContainsFunc(have, func(s string) bool {
		return s == want || open && s != "" && strings.HasPrefix(s, prefix)
	})
}
