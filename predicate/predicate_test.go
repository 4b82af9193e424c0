package predicate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// vectors is a file of test vectors; its about field explains it.
type vectors struct {
	About   string   `json:"about"`
	Valid   []vector `json:"valid"`
	Invalid []vector `json:"invalid"`
}

type vector struct {
	Note      string `json:"note"`
	Statement struct {
		Subject []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	} `json:"statement"`
	Text   string `json:"text"`
	Error  string `json:"error"`
	Schema bool   `json:"schema"`
}

func (v vector) body() []byte {
	if v.Text != "" {
		return []byte(v.Text)
	}
	return v.Statement.Predicate
}

func (v vector) subjects() []map[string]string {
	var sets []map[string]string
	for _, s := range v.Statement.Subject {
		sets = append(sets, s.Digest)
	}
	return sets
}

var vectorFiles = map[string]string{
	ApprovalType:  "approval-v0.1.json",
	AgentRunType:  "agent-run-v0.1.json",
	ExceptionType: "exception-v0.1.json",
	RunKeyType:    "run-key-v0.1.json",
	ReanchorType:  "reanchor-v0.1.json",
	ModelType:     "model-v0.1.json",
}

func loadVectors(t testing.TB, predicateType string) vectors {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", vectorFiles[predicateType]))
	if err != nil {
		t.Fatal(err)
	}
	var vs vectors
	if err := json.Unmarshal(b, &vs); err != nil {
		t.Fatal(err)
	}
	return vs
}

func TestVectors(t *testing.T) {
	for typ := range schemaFiles {
		vs, s := loadVectors(t, typ), loadSchema(t, typ)
		for _, v := range vs.Valid {
			t.Run(v.Note, func(t *testing.T) {
				if v.Statement.PredicateType != typ {
					t.Fatalf("the vector is of type %s", v.Statement.PredicateType)
				}
				if err := CheckStatement(typ, v.body(), v.subjects()); err != nil {
					t.Error(err)
				}
				if err := s.validate(v.body()); err != nil {
					t.Errorf("schema: %v", err)
				}
			})
		}
		for _, v := range vs.Invalid {
			t.Run(v.Note, func(t *testing.T) {
				err := CheckStatement(typ, v.body(), v.subjects())
				if err == nil || v.Error == "" || !strings.Contains(err.Error(), v.Error) {
					t.Errorf("CheckStatement = %v, want an error saying %q", err, v.Error)
				}
				if err := s.validate(v.body()); (err != nil) != v.Schema {
					t.Errorf("schema: %v, want a refusal: %v", err, v.Schema)
				}
			})
		}
	}
	if err := CheckStatement("https://example.com/other/v1", []byte("{"), nil); err != nil {
		t.Errorf("a type that is not ours: %v", err)
	}
	if _, ok := Schema("https://example.com/other/v1"); ok {
		t.Error("there is a schema of a type that is not ours")
	}
}

// The schema and the Go type have the same fields, and require the same ones.
func TestSchemaAgreesWithType(t *testing.T) {
	for typ, goType := range map[string]reflect.Type{
		ApprovalType:  reflect.TypeFor[Approval](),
		AgentRunType:  reflect.TypeFor[AgentRun](),
		ExceptionType: reflect.TypeFor[Exception](),
		RunKeyType:    reflect.TypeFor[RunKey](),
		ModelType:     reflect.TypeFor[ModelStatement](),
	} {
		s := loadSchema(t, typ)
		if id := s.root["$id"]; id != typ+"/schema.json" {
			t.Errorf("$id = %v", id)
		}
		agree(t, s, s.root, goType, typ)
	}
}

func agree(t *testing.T, s schema, rule map[string]any, goType reflect.Type, at string) {
	t.Helper()
	for goType.Kind() == reflect.Pointer || goType.Kind() == reflect.Slice {
		if items, ok := rule["items"].(map[string]any); ok && goType.Kind() == reflect.Slice {
			rule = items
		}
		goType = goType.Elem()
	}
	known, required := fields(goType)
	if known == nil {
		return
	}
	if ref, ok := rule["$ref"].(string); ok {
		rule = s.root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	properties, _ := rule["properties"].(map[string]any)
	var inSchema []string
	for _, r := range rule["required"].([]any) {
		inSchema = append(inSchema, r.(string))
	}
	slices.Sort(inSchema)
	slices.Sort(required)
	if !slices.Equal(inSchema, required) {
		t.Errorf("%s: the schema requires %v, the Go type %v", at, inSchema, required)
	}
	for name := range properties {
		if known[name] == nil {
			t.Errorf("%s: the Go type lacks %s", at, name)
		}
	}
	for name, ft := range known {
		p, ok := properties[name].(map[string]any)
		if !ok {
			t.Errorf("%s: the schema lacks %s", at, name)
			continue
		}
		agree(t, s, p, ft, at+"."+name)
	}
}

// The URIs and field names are frozen: what was signed under v0.1 must read the same for ever.
func TestFrozen(t *testing.T) {
	vs := loadVectors(t, ApprovalType)
	a, err := DecodeApproval(vs.Valid[0].body())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"verdict":"approve","reviewer":"ada","repository":"github.com/acme/app","targetRef":"refs/heads/main",` +
		`"base":"gitCommit:1111111111111111111111111111111111111111","head":"gitCommit:2222222222222222222222222222222222222222",` +
		`"headTree":"gitTree:3333333333333333333333333333333333333333","mergeTree":"gitTree:4444444444444444444444444444444444444444",` +
		`"policy":[{"name":"baseline","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},` +
		`{"name":"team","digest":"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}],` +
		`"rendered":{"mediaType":"text/plain;charset=utf-8","digest":"sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"},` +
		`"vouches":{"unattributed":12,"unattested":0,"protected":1,"codes":["approval-missing","unattributed"]},` +
		`"issuedAt":"2026-05-01T12:00:00Z","expiresAt":"2026-05-08T12:00:00Z","nonce":"00112233445566778899aabbccddeeff",` +
		`"tool":{"name":"sallyport","version":"0.1.0"}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if ApprovalType != "https://sallyport.dev/predicate/approval/v0.1" || AgentRunType != "https://sallyport.dev/predicate/agent-run/v0.1" {
		t.Error("a predicate type has changed")
	}
}

func TestBlobPaths(t *testing.T) {
	for _, path := range []string{"a/b.go", "with space", "ü", "a<b>&c", "caf\xe9", `"quoted"`, "tab\there", "line\u2028", `back\slash`} {
		in := Blob{Path: path, Mode: "100644", GitBlob: strings.Repeat("1", 40)}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out Blob
		if err := json.Unmarshal(b, &out); err != nil || out != in {
			t.Errorf("%q became %q through %s: %v", path, out.Path, b, err)
		}
	}
}

func TestTime(t *testing.T) {
	at := time.Date(2026, 5, 1, 14, 0, 0, 999, time.FixedZone("", 7200))
	if got := FormatTime(at); got != "2026-05-01T12:00:00Z" {
		t.Errorf("FormatTime = %q", got)
	}
	if got, err := ParseTime("2026-05-01T12:00:00Z"); err != nil || !got.Equal(at.Truncate(time.Second)) {
		t.Errorf("ParseTime = %v, %v", got, err)
	}
	for _, s := range []string{"", "2026-05-01", "2026-05-01T12:00:00.0Z", "2026-05-01T12:00:00+00:00", "2026-05-01t12:00:00z", "2026-05-01T24:00:00Z"} {
		if _, err := ParseTime(s); err == nil {
			t.Errorf("ParseTime(%q) succeeded", s)
		}
	}
}

// FuzzDecode: what decodes is valid under the schema, and reads the same after it was written.
func FuzzDecode(f *testing.F) {
	for typ := range schemaFiles {
		vs := loadVectors(f, typ)
		for _, v := range slices.Concat(vs.Valid, vs.Invalid) {
			f.Add(typ == ApprovalType, v.body())
		}
	}
	approval, run := loadSchema(f, ApprovalType), loadSchema(f, AgentRunType)
	f.Fuzz(func(t *testing.T, isApproval bool, body []byte) {
		if isApproval {
			a, err := DecodeApproval(body)
			roundTrip(t, approval, body, a, err, DecodeApproval)
		} else {
			r, err := DecodeAgentRun(body)
			roundTrip(t, run, body, r, err, DecodeAgentRun)
		}
	})
}

func roundTrip[T any](t *testing.T, s schema, body []byte, v T, err error, decode func([]byte) (T, error)) {
	t.Helper()
	if err != nil {
		return
	}
	if err := s.validate(body); err != nil {
		t.Fatalf("it decodes and breaks the schema: %v\n%s", err, body)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	again, err := decode(out)
	if err != nil {
		t.Fatalf("cannot read what was written: %v\n%s", err, out)
	}
	if twice, err := json.Marshal(again); err != nil || string(twice) != string(out) {
		t.Fatalf("it changes each time it is written:\n%s\n%s", out, twice)
	}
}
