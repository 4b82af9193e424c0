package sigstore

import (
	"encoding/hex"
	"fmt"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
)

// promises reports whether a log entry carries the log's signed promise, which vouches for its time.
func promises(e *protorekor.TransparencyLogEntry) bool {
	return len(e.GetInclusionPromise().GetSignedEntryTimestamp()) > 0
}

// known counts the logs of the root that the bundle has entries of. All of them have to verify:
// sigstore-go passes over an entry whose promise is not good while another is, so that what it then
// says of "the" entry depends on which. Two entries of one log are refused for the same reason.
func (r *Root) known(p parsed) (int, error) {
	logs := map[string]bool{}
	for _, e := range p.GetVerificationMaterial().GetTlogEntries() {
		id := hex.EncodeToString(e.GetLogId().GetKeyId())
		if _, ok := r.material.RekorLogs()[id]; !ok {
			continue
		}
		if logs[id] {
			return 0, fmt.Errorf("%w: it has two entries of one log", ErrLog)
		}
		logs[id] = true
	}
	return len(logs), nil
}

// entries lists those of the bundle's entries that are of a log of the root, after the bundle was
// verified: each of them verified then, or the whole did not.
func (r *Root) entries(p parsed) []Entry {
	out := []Entry{}
	for _, e := range p.GetVerificationMaterial().GetTlogEntries() {
		log, ok := r.material.RekorLogs()[hex.EncodeToString(e.GetLogId().GetKeyId())]
		if !ok {
			continue
		}
		out = append(out, Entry{Log: log.BaseURL, Index: e.GetLogIndex(), Kind: e.GetKindVersion().GetKind() + " " + e.GetKindVersion().GetVersion()})
	}
	return out
}
