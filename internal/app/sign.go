package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/checksum"
	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/base/openpgp"
	"github.com/sallyport-dev/sallyport/internal/evidence/sigstore"
	"github.com/sallyport-dev/sallyport/internal/key"
)

// maxSigned bounds how many files one call signs.
const maxSigned = 1000

// SignOptions say what to sign, and with what.
type SignOptions struct {
	Files     []string // or oci:REF for images, which are signed in their registry
	Checksums string   // write the files' checksums here, and sign those alone
	Bundle    string   // where the bundle of a single file goes; empty: FILE.sigstore.json

	Key           string // a reference, or
	IdentityToken string // a file that holds an OIDC token, and
	SigningConfig string // a Sigstore signing configuration, and
	TrustedRoot   string // what verifies the bundle before it is written; optional

	OpenPGP string // the fingerprint of a gpg key: FILE.asc is written as well
	InToto  bool   // the file is an in-toto statement, which is signed as one
}

// A Signed is a file that was signed.
type Signed struct {
	File     string             `json:"file"`
	Digest   sallyport.Digest   `json:"digest"`
	Bundle   string             `json:"bundle,omitempty"`
	OpenPGP  string             `json:"openpgp,omitempty"`
	Key      string             `json:"key,omitempty"`
	Identity *sigstore.Identity `json:"identity,omitempty"`
}

// Sign signs files. Nothing is written before everything is signed.
func (a *App) Sign(ctx context.Context, o SignOptions) ([]Signed, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := signing{app: a, o: o, out: map[string][]byte{}}
	files := o.Files
	if o.Checksums != "" {
		list, err := s.checksums()
		if err != nil {
			return nil, err
		}
		s.write(o.Checksums, list)
		files = []string{o.Checksums}
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	var signed []Signed
	for _, name := range files {
		sign := s.sign
		if _, ok := imageOf(name); ok {
			sign = s.signImage
		}
		one, err := sign(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("sign %s: %w", name, err)
		}
		signed = append(signed, one)
	}
	for _, name := range s.order {
		if err := durable.WriteFile(name, s.out[name], 0o644); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return signed, nil
}

func (o SignOptions) check() error {
	switch {
	case len(o.Files) == 0 || len(o.Files) > maxSigned:
		return usagef("name 1 to %d files", maxSigned)
	case o.Bundle != "" && len(o.Files) > 1 && o.Checksums == "":
		return usagef("--bundle is for one file, and there are %d", len(o.Files))
	case o.Key == "" && o.IdentityToken == "" && o.OpenPGP == "":
		return usagef("name what signs: --key REF, --identity-token FILE with --signing-config FILE, or --openpgp FINGERPRINT")
	case o.images() > 0 && (o.images() < len(o.Files) || o.Checksums+o.Bundle+o.OpenPGP != "" || o.InToto):
		return usagef("images are signed by themselves: no files beside them, and no --checksums, --bundle or --openpgp")
	case o.Key != "" && o.IdentityToken != "":
		return usagef("--key and --identity-token exclude one another")
	case o.IdentityToken != "" && o.SigningConfig == "":
		return usagef("--identity-token needs --signing-config: it names the services that are asked")
	}
	return nil
}

func (o SignOptions) images() int {
	n := 0
	for _, name := range o.Files {
		if _, ok := imageOf(name); ok {
			n++
		}
	}
	return n
}

// signing is one call of Sign.
type signing struct {
	app      *App
	o        SignOptions
	key      *key.Key
	services *sigstore.Services
	token    string
	root     *sigstore.Root
	out      map[string][]byte
	order    []string
}

func (s *signing) write(name string, b []byte) {
	s.out[name] = b
	s.order = append(s.order, name)
}

// open reads the key, or whom to ask for one.
func (s *signing) open(ctx context.Context) (err error) {
	if s.o.Key != "" {
		if s.key, err = s.app.openKey(ctx, s.o.Key); err == nil && s.key.Certificate() != nil {
			return withHint(errors.New("the key of a run signs statements about that run, and no files"), "sallyport attest, or another key")
		}
		return err
	}
	if s.o.IdentityToken == "" {
		return nil
	}
	token, err := readSmall(s.o.IdentityToken)
	if err != nil {
		return fmt.Errorf("read the identity token: %w", err)
	}
	if s.token = strings.TrimSpace(string(token)); s.token == "" {
		return fmt.Errorf("%s holds no identity token", s.o.IdentityToken)
	}
	config, err := readSmall(s.o.SigningConfig)
	if err != nil {
		return fmt.Errorf("read the signing configuration: %w", err)
	}
	if s.services, err = sigstore.ParseServices(config, s.app.now()); err != nil {
		return err
	}
	if s.o.TrustedRoot != "" {
		s.root, err = s.app.trustedRoot(s.o.TrustedRoot)
	}
	return err
}

// checksums digests the files. Their names are relative to the list, so that sha256sum finds them
// from there.
func (s *signing) checksums() ([]byte, error) {
	dir, err := filepath.Abs(filepath.Dir(s.o.Checksums))
	if err != nil {
		return nil, err
	}
	var lines []checksum.Line
	for _, name := range s.o.Files {
		path, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || !filepath.IsLocal(rel) {
			return nil, usagef("%s is not beside or below %s: sha256sum would not find it", name, s.o.Checksums)
		}
		a, err := sigstore.File(name)
		if err != nil {
			return nil, err
		}
		lines = append(lines, checksum.Line{Algorithm: "sha256", Hex: a.Digest("sha256").Hex(), Name: filepath.ToSlash(rel)})
	}
	list := checksum.Format(lines)
	if _, err := checksum.Parse(list); err != nil { // a name twice
		return nil, err
	}
	return list, nil
}

func (s *signing) sign(ctx context.Context, name string) (Signed, error) {
	content, artifact, err := s.content(name)
	if err != nil {
		return Signed{}, err
	}
	signed := Signed{File: name, Digest: artifact.Artifact.Digest("sha256")}
	raw, err := s.bundle(ctx, artifact, &signed)
	if err != nil {
		return Signed{}, err
	}
	if raw != nil {
		signed.Bundle = name + ".sigstore.json"
		if s.o.Bundle != "" {
			signed.Bundle = s.o.Bundle
		}
		s.write(signed.Bundle, raw)
	}
	if s.o.OpenPGP != "" {
		if content == nil {
			if content, err = readLimit(name, maxOpenPGPFile); err != nil {
				return Signed{}, err
			}
			if sallyport.SHA256(content) != signed.Digest {
				return Signed{}, errors.New("it changed while it was signed")
			}
		}
		sig, err := openpgp.SignGPG(ctx, os.Environ(), s.o.OpenPGP, content, s.app.Stderr)
		if err != nil {
			return Signed{}, err
		}
		signed.OpenPGP = name + ".asc"
		s.write(signed.OpenPGP, openpgp.ArmorSignature(sig))
	}
	return signed, nil
}

// bundle signs with the key, or without one; nil if only gpg signs.
func (s *signing) bundle(ctx context.Context, c sigstore.Content, signed *Signed) (raw []byte, err error) {
	switch {
	case s.key != nil:
		raw, err = sigstore.Sign(ctx, s.key, c)
		signed.Key = string(s.key.Fingerprint())
	case s.services != nil:
		var who sigstore.Identity
		raw, who, err = s.services.SignKeyless(ctx, s.token, c, s.root)
		signed.Identity = &who
	}
	return raw, err
}

// content is what is signed: a file, a list that is written when all is signed, or a statement.
func (s *signing) content(name string) ([]byte, sigstore.Content, error) {
	var c sigstore.Content
	var err error
	b, ours := s.out[name]
	switch {
	case ours:
		c.Artifact = sigstore.Bytes(b)
	case s.o.InToto:
		if b, err = readLimit(name, sigstore.MaxBundle/2); err != nil {
			return nil, c, err
		}
		c.Statement = b
		c.Artifact, err = sigstore.FirstSubject(b)
	default:
		c.Artifact, err = sigstore.File(name)
	}
	return b, c, err
}
