package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
	"github.com/sallyport-dev/sallyport/internal/mask"
)

// MaskOptions say what is masked, and what with.
type MaskOptions struct {
	Files       []string // standard input if there are none
	JSON        bool     // the texts are JSON: only what stands in strings is looked at, and JSON comes out
	Vault       string   // where the sentinels' values are kept, if anywhere
	ASCII       bool     // sentinels in ASCII alone
	Personal    []string // kinds, or "all"
	Environment bool     // values of this process's environment are known secrets
	Dotenv      []string // files
	Lists       []string
	Hashes      string
	HashKey     string
	Recognisers string
	Documents   []string
	Environ     []string
}

// maxMaskInput bounds a text.
const maxMaskInput = 64 << 20

// A Masked is what became of one text.
type Masked struct {
	Name     string        `json:"name"`
	Bytes    int           `json:"bytes"`
	Findings []MaskFinding `json:"findings"`
	text     []byte
}

// A MaskFinding is one thing found, without its text.
type MaskFinding struct {
	mask.Finding
	Line int `json:"line"`
}

// MaskReport is what Mask found.
type MaskReport struct {
	Texts       []Masked          `json:"texts"`
	Counts      map[mask.Kind]int `json:"counts"`       // of different values
	NeverLeaves []string          `json:"never_leaves"` // marked documents of which a passage was found
}

// Found reports whether anything was.
func (r MaskReport) Found() bool {
	return slices.ContainsFunc(r.Texts, func(t Masked) bool { return len(t.Findings) > 0 })
}

// WriteTo writes the masked texts, one after another.
func (r MaskReport) WriteTo(w io.Writer) (n int64, err error) {
	for _, t := range r.Texts {
		k, err := w.Write(t.text)
		if n += int64(k); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Mask finds what must not leave in texts, and masks it. If a vault is named, it is read if it is there and
// written before anything is returned: no sentinel is given out whose value is lost.
func (a *App) Mask(o MaskOptions) (MaskReport, error) {
	opts, err := a.maskOptions(o)
	if err != nil {
		return MaskReport{}, err
	}
	engine, err := mask.New(opts)
	if err != nil {
		return MaskReport{}, err
	}
	vault, err := openVault(o.Vault, o.ASCII, false)
	if err != nil {
		return MaskReport{}, err
	}
	r := MaskReport{Texts: []Masked{}, NeverLeaves: []string{}}
	err = a.eachText(o.Files, func(name string, text []byte) error {
		var found []mask.Finding
		if o.JSON {
			if found, err = engine.FindJSON(nil, text); err != nil {
				return withHint(fmt.Errorf("%s: %w", name, err), "text that is no JSON is masked with --format text")
			}
		} else {
			found = engine.Find(nil, text)
		}
		m := Masked{Name: name, Bytes: len(text), Findings: []MaskFinding{}, text: vault.Mask(nil, text, found)}
		line, at := 1, 0
		for _, f := range found {
			line += bytes.Count(text[at:f.Start], []byte("\n"))
			at = f.Start
			m.Findings = append(m.Findings, MaskFinding{f, line})
			if doc, ok := strings.CutPrefix(string(f.Kind), "document:"); ok {
				r.NeverLeaves = append(r.NeverLeaves, doc)
			}
		}
		r.Texts = append(r.Texts, m)
		return nil
	})
	if err != nil {
		return MaskReport{}, err
	}
	r.Counts = vault.Counts()
	if o.Vault != "" {
		b, err := vault.Save()
		if err != nil {
			return MaskReport{}, err
		}
		if err := durable.WriteFile(o.Vault, b, 0o600); err != nil {
			return MaskReport{}, err
		}
	}
	return r, nil
}

// Unmask puts back what the vault holds of the kinds that are allowed, and writes the texts to w.
func (a *App) Unmask(o MaskOptions, allow []string, w io.Writer) error {
	vault, err := openVault(o.Vault, o.ASCII, true)
	if err != nil {
		return err
	}
	allowed := func(k mask.Kind) bool {
		if len(allow) == 0 {
			return mask.NoSecrets(k)
		}
		for _, p := range allow {
			if string(k) == p || p == "all" || strings.HasSuffix(p, ":*") && strings.HasPrefix(string(k), p[:len(p)-1]) {
				return true
			}
		}
		return false
	}
	return a.eachText(o.Files, func(_ string, text []byte) error {
		if o.JSON {
			_, err := w.Write(vault.UnmaskJSON(nil, text, allowed))
			return err
		}
		_, err := w.Write(vault.Unmask(nil, text, allowed))
		return err
	})
}

// MaskHashes writes the lines of a keyed-hash list for the values of the lists.
func (a *App) MaskHashes(o MaskOptions, w io.Writer) error {
	known, err := a.maskKnown(o)
	if err != nil {
		return err
	}
	key, err := hashKey(o.HashKey)
	if err != nil {
		return err
	}
	for _, k := range known {
		line, err := mask.HashLine(key, k)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func openVault(path string, ascii, must bool) (*mask.Vault, error) {
	if path != "" {
		b, err := readLimited(path, maxMaskInput)
		switch {
		case err == nil:
			return mask.LoadVault(b)
		case must || !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	if ascii {
		return mask.NewASCIIVault(), nil
	}
	return mask.NewVault(), nil
}

// maskKnown gathers values that are known to be secret. A file that holds none is told: whoever names it
// means that there are some.
func (a *App) maskKnown(o MaskOptions) ([]mask.Known, error) {
	var known []mask.Known
	if o.Environment {
		known = mask.FromEnviron(o.Environ)
	}
	read := func(files []string, parse func(name string, b []byte) []mask.Known) error {
		for _, name := range files {
			b, err := readLimited(name, maxMaskInput)
			if err != nil {
				return err
			}
			list := parse(name, b)
			if len(list) == 0 {
				return withHint(fmt.Errorf("%s holds no value that could be looked for", name), fmt.Sprintf("a value has %d characters or more", mask.MinKnown))
			}
			known = append(known, list...)
		}
		return nil
	}
	if err := read(o.Dotenv, func(_ string, b []byte) []mask.Known { return mask.FromDotenv(b) }); err != nil {
		return nil, err
	}
	if err := read(o.Lists, mask.FromList); err != nil {
		return nil, err
	}
	return known, nil
}

func hashKey(path string) ([]byte, error) {
	if path == "" {
		return nil, usagef("a hash list needs --hash-key FILE, the key under which it was made")
	}
	b, err := readLimited(path, 4096)
	return bytes.TrimSpace(b), err
}

func (a *App) maskOptions(o MaskOptions) (out mask.Options, err error) {
	if out.Known, err = a.maskKnown(o); err != nil {
		return out, err
	}
	for _, k := range o.Personal {
		if k == "all" {
			out.Personal = mask.AllPersonal()
			break
		}
		kind := mask.Kind(k)
		if !kind.Personal() {
			kind = mask.Kind("personal:" + k)
		}
		out.Personal = append(out.Personal, kind)
	}
	if o.Hashes != "" {
		key, err := hashKey(o.HashKey)
		if err != nil {
			return out, err
		}
		b, err := readLimited(o.Hashes, maxMaskInput)
		if err != nil {
			return out, err
		}
		if out.Hashed, err = mask.ReadHashList(key, b); err != nil {
			return out, fmt.Errorf("%s: %w", o.Hashes, err)
		}
	}
	if o.Recognisers != "" {
		b, err := readLimited(o.Recognisers, maxMaskInput)
		if err != nil {
			return out, err
		}
		if err := strict.JSON(b, maxMaskInput, &out.Recognisers); err != nil {
			return out, fmt.Errorf("%s: %w", o.Recognisers, err)
		}
	}
	for _, name := range o.Documents {
		b, err := readLimited(name, maxMaskInput)
		if err != nil {
			return out, err
		}
		if out.Documents == nil {
			out.Documents = mask.NewDocuments()
		}
		if err := out.Documents.Add(name, b); err != nil {
			return out, err
		}
	}
	return out, nil
}

// eachText reads the files, or standard input if there are none.
func (a *App) eachText(files []string, f func(name string, text []byte) error) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		var text []byte
		var err error
		if name == "-" {
			text, err = io.ReadAll(io.LimitReader(a.Stdin, maxMaskInput+1))
			if err == nil && len(text) > maxMaskInput {
				err = fmt.Errorf("standard input has more than %d MiB", maxMaskInput>>20)
			}
		} else {
			text, err = readLimited(name, maxMaskInput)
		}
		if err != nil {
			return err
		}
		if err := f(name, text); err != nil {
			return err
		}
	}
	return nil
}

// readLimited reads a file of no more than limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return b, err
}
