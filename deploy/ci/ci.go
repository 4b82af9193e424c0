// Package ci holds the jobs in which a forge's CI asks the merge gate, as templates.
//
// A job is written by [Write] for one forge. What a change may influence of it is nothing: the
// judge is named by its digest in the job's own text, the pin comes from the forge's settings,
// the change is fetched as data. docs/ci.md says what the forge has to guarantee for the rest.
//
// The templates hold three words that Write replaces: @URL@, @SHA256@ and @VERSION@.
package ci

import (
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// The forges for which there is a job.
const (
	GitHub = "github"
	GitLab = "gitlab"
)

//go:embed github.yml
var github string

//go:embed gitlab.yml
var gitlab string

// A Judge says which executable judges: where it is downloaded from, and what it has to be.
type Judge struct {
	URL     string // https; empty: the forge's variable SALLYPORT_URL says it
	SHA256  string // 64 hexadecimal digits
	Version string // for the reader
}

// File returns where a forge's job lies, from the top of the repository that holds it, or an
// error for a forge that is not known.
func File(forge string) (string, error) {
	switch forge {
	case GitHub:
		return ".github/workflows/sallyport.yml", nil
	case GitLab:
		return "sallyport.gitlab-ci.yml", nil
	}
	return "", fmt.Errorf("there is no job for %q: it is %s or %s", forge, GitHub, GitLab)
}

// What may stand in the job, spelt so that no character of it means anything to YAML or a shell.
const (
	digits = "0123456789"
	signs  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + digits + "._+/-"
)

// only reports whether s has no character but those.
func only(s, of string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(of, r) })
}

// Write returns a forge's job. Everything of j that could end a word of YAML or of the shell is
// refused.
func Write(forge string, j Judge) ([]byte, error) {
	if _, err := File(forge); err != nil {
		return nil, err
	}
	if len(j.SHA256) != 64 || !only(j.SHA256, digits+"abcdef") {
		return nil, errors.New("the judge's digest is not 64 hexadecimal digits of SHA-256")
	}
	if !only(j.Version, signs+" ()") {
		return nil, fmt.Errorf("%q is no version", j.Version)
	}
	if j.URL != "" {
		u, err := url.Parse(j.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || !only(j.URL, signs+":?&=%~@,") {
			return nil, fmt.Errorf("%q is no plain https address", j.URL)
		}
	}
	text, address := github, "${{ vars.SALLYPORT_URL }}"
	if forge == GitLab {
		text, address = gitlab, `"$SALLYPORT_URL"`
	}
	if j.URL != "" {
		address = "'" + j.URL + "'"
	}
	version := "It is a build without a version."
	if j.Version != "" {
		version = "It is " + j.Version + "."
	}
	return []byte(strings.NewReplacer("@URL@", address, "@SHA256@", j.SHA256, "@VERSION@", version).Replace(text)), nil
}
