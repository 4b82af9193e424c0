package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/sallyport-dev/sallyport"
)

// stampTimeout bounds what a timestamp authority may take.
const stampTimeout = 30 * time.Second

// Stamp has the timestamp authority at address (RFC 3161) say that the signature of raw, a bundle
// that [Sign] made, exists now, and returns the bundle with its answer: whoever verifies it later
// knows that it is no younger. The answer has to verify under k, or nobody could rely on it. The
// authority learns the SHA-256 of the signature.
func Stamp(ctx context.Context, raw []byte, address string, k *Keyless) ([]byte, error) {
	p, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("ask for a timestamp: %w", err)
	}
	var b bundleJSON
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("ask for a timestamp: %w", err)
	}
	answer, err := stamp(ctx, p.envelope.Signature, address, k)
	if err != nil {
		return nil, err
	}
	b.Material.Timestamps = &timestampsJSON{Stamps: []stampJSON{{answer}}}
	out, err := sallyport.EncodeJSON(b)
	if err != nil {
		return nil, fmt.Errorf("encode the bundle: %w", err)
	}
	if p, err = parse(out); err != nil {
		return nil, fmt.Errorf("check the timestamp: %w", err)
	}
	if stamps, _, err := verify.VerifySignedTimestamp(p.bundle, k.material); err != nil || len(stamps) != 1 {
		return nil, fmt.Errorf("check the timestamp: what %s answered is not of an authority of the trusted root, or about something else", address)
	}
	return out, nil
}

// StampBytes has the timestamp authority at address say that content exists now, and returns its answer,
// which verifies under k. The authority learns the SHA-256 of content.
func StampBytes(ctx context.Context, content []byte, address string, k *Keyless) ([]byte, error) {
	answer, err := stamp(ctx, content, address, k)
	if err != nil {
		return nil, err
	}
	if _, _, err := k.StampTime(answer, content); err != nil {
		return nil, fmt.Errorf("check the timestamp: what %s answered is not of an authority of the trusted root, or about something else", address)
	}
	return answer, nil
}

// StampTime returns when content existed at the latest, and which authority of the root says so.
func (k *Keyless) StampTime(answer, content []byte) (time.Time, string, error) {
	if k != nil && len(answer) <= maxStamp {
		for _, tsa := range k.material.TimestampingAuthorities() {
			if t, err := tsa.Verify(answer, content); err == nil {
				return t.Time.UTC(), t.URI, nil
			}
		}
	}
	return time.Time{}, "", fmt.Errorf("%w: the timestamp is not of an authority of the trusted root, or about something else", ErrNotVerified)
}

// maxStamp is the largest answer of a timestamp authority that is read, in bytes.
const maxStamp = 64 << 10

// stamp asks the authority at address, and verifies nothing.
func stamp(ctx context.Context, content []byte, address string, k *Keyless) ([]byte, error) {
	if k == nil || len(k.material.TimestampingAuthorities()) == 0 {
		return nil, errors.New("ask for a timestamp: the trusted root names no timestamp authority, so that nobody could verify it")
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("ask for a timestamp: %.200q is no address of a timestamp authority", address)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && u.Scheme != "http" || u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("ask for a timestamp: %.200q is not https", address)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answer, err := sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: address, Timeout: stampTimeout}).GetTimestamp(ctx, content)
	if err != nil {
		return nil, fmt.Errorf("ask %s for a timestamp: %s", address, oneLine(err))
	}
	return answer, nil
}

type timestampsJSON struct {
	Stamps []stampJSON `json:"rfc3161Timestamps"`
}

type stampJSON struct {
	Answer []byte `json:"signedTimestamp"`
}
