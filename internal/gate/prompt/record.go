package prompt

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Kinds of record.
const (
	KindRequest  = "request"  // durable before anything was sent
	KindResponse = "response" // how it ended
	KindRefused  = "refused"  // and nothing was sent
)

// A Record is what is kept about one request: before it is sent, when it ended, or that it was refused.
// It holds no text of a prompt or an answer.
type Record struct {
	Kind string    `json:"kind"`
	ID   string    `json:"id"` // of the request, the same in its response
	Time time.Time `json:"time"`

	Principal  sallyport.Principal `json:"principal"`
	Operator   string              `json:"operator,omitempty"`
	Run        string              `json:"run,omitempty"`
	Repository string              `json:"repository,omitempty"`
	Key        string              `json:"key,omitempty"`
	Client     map[string]string   `json:"client,omitempty"` // what the client says of itself and its session: claims

	Dialect   Dialect    `json:"dialect,omitempty"`
	Operation string     `json:"operation,omitempty"`
	Provider  string     `json:"provider,omitempty"`
	Endpoint  string     `json:"endpoint,omitempty"`
	Method    string     `json:"method,omitempty"`
	Path      string     `json:"path,omitempty"`
	Models    []ModelUse `json:"models,omitempty"`
	Stream    bool       `json:"stream,omitempty"`

	Masked  map[string]int `json:"masked,omitempty"` // how many of each kind were replaced
	Media   map[string]int `json:"media,omitempty"`  // what passed that is no text, by kind
	Tools   []string       `json:"tools,omitempty"`  // the client's, by name
	Servers []string       `json:"servers,omitempty"`
	Opaque  bool           `json:"opaque,omitempty"` // passed by rule without being looked into

	Received   int64      `json:"received,omitempty"`  // bytes of the body: from the client, or from the vendor
	Sent       int64      `json:"sent,omitempty"`      // bytes of the body: to the vendor, or to the client
	Commitment Commitment `json:"commitment,omitzero"` // to the vendor's answer; to what was sent the journal commits

	Code string `json:"code,omitempty"` // why it was refused, or how it failed
	Text string `json:"text,omitempty"`

	Status     int              `json:"status,omitempty"`  // the vendor's
	Outcome    Outcome          `json:"outcome,omitempty"` // of a response
	Attempts   int              `json:"attempts,omitempty"`
	Usage      Usage            `json:"usage,omitzero"`
	Calls      map[string]int64 `json:"calls,omitempty"` // the tools that the answer asks for, by name
	FirstByte  int64            `json:"first_byte_us,omitempty"`
	Took       int64            `json:"took_us,omitempty"`
	Suppressed int64            `json:"suppressed,omitempty"` // refusals of strangers since the last record, not kept one by one
}

// A ModelUse is a model and the registry entry that let it be used.
type ModelUse struct {
	Name  string           `json:"name"`
	Entry sallyport.Digest `json:"entry,omitempty"`
}

// An Outcome is how a response ended.
type Outcome string

// The outcomes.
const (
	Complete    Outcome = "complete"
	Cut         Outcome = "cut"         // the vendor ended before it was done
	Cancelled   Outcome = "cancelled"   // the client went away
	Unreachable Outcome = "unreachable" // nothing was sent, or it is not known what became of it
)

// Usage is what the vendor says was used.
type Usage struct {
	Input     int64 `json:"input,omitempty"`
	Output    int64 `json:"output,omitempty"`
	Estimated bool  `json:"estimated,omitempty"` // the vendor did not say; a quarter of the bytes
}

// A Commitment binds to bytes without telling them: sha256 over the salt and the bytes.
type Commitment struct {
	Salt   string           `json:"salt"`
	Digest sallyport.Digest `json:"digest"`
}

// A committer makes a commitment piece by piece.
type committer struct {
	salt [16]byte
	h    hash.Hash
}

func newCommitter() *committer {
	c := &committer{h: sha256.New()}
	_, _ = rand.Read(c.salt[:])
	c.h.Write(c.salt[:])
	return c
}

func (c *committer) Write(b []byte) { c.h.Write(b) }

func (c *committer) Commitment() Commitment {
	return Commitment{hex.EncodeToString(c.salt[:]), sallyport.Digest("sha256:" + hex.EncodeToString(c.h.Sum(nil)))}
}

// A Refusal is why a request does not leave. Status is the HTTP status that says so.
type Refusal struct { //nolint:errname // an answer, not a failure
	Status           int
	Code, Text, Hint string
	RetryAfter       time.Duration
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Text }

func refuse(status int, code, hint, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Code: code, Text: fmt.Sprintf(format, args...), Hint: hint}
}
