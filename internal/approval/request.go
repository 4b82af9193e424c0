package approval

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// MaxRequestSize is the most that an encoded request may weigh, in bytes.
const MaxRequestSize = 1 << 20

// A Request asks reviewers for an approval. It is a note between people, kept in the state
// folder: nothing in it is believed. Whoever gives the approval recomputes the change from git.
type Request struct {
	Version    int                `json:"version"` // 1
	Repository string             `json:"repository"`
	TargetRef  string             `json:"target_ref"`
	Base       sallyport.Digest   `json:"base,omitempty"`
	Head       sallyport.Digest   `json:"head"`
	MergeTree  sallyport.Digest   `json:"merge_tree,omitempty"`
	Asked      string             `json:"asked"`              // RFC 3339, UTC
	Decision   sallyport.Digest   `json:"decision,omitempty"` // the decision that waits
	Reasons    []sallyport.Reason `json:"reasons"`
	Note       string             `json:"note,omitempty"` // what the asker wants the reviewer to know
}

// EncodeRequest validates and encodes r.
func EncodeRequest(r Request) ([]byte, error) {
	r.Version = 1
	if r.Reasons == nil {
		r.Reasons = []sallyport.Reason{}
	}
	b, err := sallyport.EncodeJSON(r)
	if err == nil {
		_, err = DecodeRequest(b)
	}
	if err != nil {
		return nil, fmt.Errorf("encode approval request: %w", err)
	}
	return b, nil
}

// DecodeRequest decodes what EncodeRequest wrote, strictly.
func DecodeRequest(b []byte) (Request, error) {
	var r Request
	err := strict.JSON(b, MaxRequestSize, &r)
	if err == nil {
		err = r.validate()
	}
	if err != nil {
		return Request{}, fmt.Errorf("decode approval request: %w", err)
	}
	return r, nil
}

func (r Request) validate() error {
	if r.Version != 1 {
		return fmt.Errorf("version %d is unknown", r.Version)
	}
	if r.Repository == "" || r.TargetRef == "" {
		return errors.New("repository or target_ref is missing")
	}
	if len(r.Note) > 4096 {
		return errors.New("note is longer than 4096 bytes")
	}
	if _, err := time.Parse(time.RFC3339, r.Asked); err != nil {
		return fmt.Errorf("asked: %w", err)
	}
	for _, d := range []struct {
		key, algorithm string
		value          sallyport.Digest
		optional       bool
	}{
		{"head", "gitCommit", r.Head, false}, {"base", "gitCommit", r.Base, true},
		{"merge_tree", "gitTree", r.MergeTree, true}, {"decision", "sha256", r.Decision, true},
	} {
		if d.value.Zero() && d.optional {
			continue
		}
		if _, err := sallyport.ParseDigest(string(d.value)); err != nil {
			return fmt.Errorf("%s: %w", d.key, err)
		}
		if d.value.Algorithm() != d.algorithm {
			return fmt.Errorf("%s: %q is not a %s", d.key, d.value, d.algorithm)
		}
	}
	return nil
}
