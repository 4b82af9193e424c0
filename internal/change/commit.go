package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// maxMessage is how much of a commit's message is kept. Trailers are read from all of it.
const maxMessage = 64 << 10

// history is the commits of a range, with the trees of the parents outside it.
type history struct {
	commits []sallyport.Commit
	trees   map[string]string
}

func (h *history) tree(commit string) string { return h.trees[commit] }

// history reads the commits with these ids.
func (d *Differ) history(ctx context.Context, ids []string) (*history, error) {
	h := &history{commits: make([]sallyport.Commit, 0, len(ids)), trees: make(map[string]string, len(ids)+1)}
	sha256 := d.repo.ObjectFormat() == git.SHA256
	err := d.repo.Commits(ctx, ids, func(i int, raw []byte) error {
		c, err := parseCommit(raw, sha256)
		if err != nil {
			return fmt.Errorf("read commit %s: %w", ids[i], err)
		}
		c.ID = sallyport.GitCommit(ids[i])
		h.trees[ids[i]] = c.Tree.Hex()
		h.commits = append(h.commits, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var outside []string
	for _, c := range h.commits {
		for _, p := range c.Parents {
			if _, known := h.trees[p.Hex()]; !known {
				h.trees[p.Hex()] = ""
				outside = append(outside, p.Hex())
			}
		}
	}
	trees, err := d.repo.Trees(ctx, outside)
	if err != nil {
		return nil, err
	}
	for i, id := range outside {
		h.trees[id] = trees[i]
	}
	return h, nil
}

var errCommit = errors.New("malformed commit object")

// parseCommit decodes a commit object. The signature is the one that git itself would check in
// a repository of this format, and the signed bytes are the object without the signature
// headers of either format.
func parseCommit(raw []byte, sha256 bool) (sallyport.Commit, error) {
	c := sallyport.Commit{Parents: []sallyport.Digest{}, Trailers: []sallyport.Trailer{}, SignatureKind: "none"}
	oidLen, signatureHeader := 40, "gpgsig"
	if sha256 {
		oidLen, signatureHeader = 64, "gpgsig-sha256"
	}
	var signature, signed []byte
	header := "" // the last one, which continuation lines belong to
	seen := map[string]int{}
	rest := raw
	for {
		line, after, ok := bytes.Cut(rest, []byte{'\n'})
		if !ok {
			return sallyport.Commit{}, errCommit
		}
		whole := rest[:len(line)+1]
		rest = after
		if len(line) == 0 {
			signed = append(signed, whole...)
			break
		}
		value := line[1:]
		if line[0] != ' ' {
			name, v, _ := bytes.Cut(line, []byte{' '})
			header, value = string(name), v
			seen[header]++
			if err := parseHeader(&c, header, string(v), oidLen, seen[header]); err != nil {
				return sallyport.Commit{}, err
			}
		} else if header == "" {
			return sallyport.Commit{}, errCommit
		}
		switch header {
		case signatureHeader:
			signature = append(append(signature, value...), '\n')
		case "gpgsig", "gpgsig-sha256":
		default:
			signed = append(signed, whole...)
		}
	}
	if seen["tree"] != 1 || seen["author"] != 1 || seen["committer"] != 1 {
		return sallyport.Commit{}, errCommit
	}
	message := string(rest)
	c.Trailers = parseTrailers(message)
	c.Message = message[:min(len(message), maxMessage)]
	if signature != nil {
		c.SignatureKind = signatureKind(signature)
		c.Signature = signature
		c.Signed = append(signed, rest...)
	}
	return c, nil
}

func parseHeader(c *sallyport.Commit, header, value string, oidLen, nth int) error {
	var err error
	switch header {
	case "tree":
		if !isOID(value, oidLen) || nth > 1 {
			return errCommit
		}
		c.Tree = sallyport.GitTree(value)
	case "parent":
		if !isOID(value, oidLen) {
			return errCommit
		}
		c.Parents = append(c.Parents, sallyport.GitCommit(value))
	case "author":
		c.Author, err = parseIdent(value)
	case "committer":
		c.Committer, err = parseIdent(value)
	}
	return err
}

func isOID(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// parseIdent splits "Name <email> seconds zone". As git does, it takes the last "<…>" before the
// time, and lets a malformed time be no time: it is a claim and decides nothing.
func parseIdent(s string) (sallyport.Ident, error) {
	end := strings.LastIndexByte(s, '>')
	if end < 0 {
		return sallyport.Ident{}, errCommit
	}
	start := strings.IndexByte(s[:end], '<')
	if start < 0 {
		return sallyport.Ident{}, errCommit
	}
	id := sallyport.Ident{Name: strings.TrimSpace(s[:start]), Email: strings.TrimSpace(s[start+1 : end])}
	if f := strings.Fields(s[end+1:]); len(f) > 0 {
		id.Time, _ = strconv.ParseInt(f[0], 10, 64)
	}
	return id, nil
}

// signatureKind tells the format of a signature by its armour. What has none that is known is
// "unknown": it is not an absent signature, and nobody can verify it.
func signatureKind(sig []byte) string {
	for armour, kind := range map[string]string{
		"-----BEGIN SSH SIGNATURE-----":  "ssh",
		"-----BEGIN PGP SIGNATURE-----":  "openpgp",
		"-----BEGIN PGP MESSAGE-----":    "openpgp",
		"-----BEGIN SIGNED MESSAGE-----": "x509",
	} {
		if bytes.HasPrefix(sig, []byte(armour)) {
			return kind
		}
	}
	return "unknown"
}
