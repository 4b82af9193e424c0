package layout

import (
	"regexp"
	"slices"
)

// A Kind is what a part is for; it settles what the part may import.
type Kind int

// The kinds of part, by level.
const (
	Vocabulary Kind = iota // level 0
	Tool                   // level 1
	Service                // level 2
	Backend                // level 2: one way to do what a service promises
	Engine                 // level 3
	Gate                   // level 4: gates, renderers, pages
	Wiring                 // level 5
	Command                // level 6
	Whole                  // above all levels: tests of the product, and this package
)

var kindNames = [...]string{
	Vocabulary: "the vocabulary", Tool: "a tool", Service: "a service", Backend: "a backend",
	Engine: "the engine", Gate: "a level-4 package", Wiring: "the wiring", Command: "a command",
	Whole: "the whole",
}

// Level returns the level of DESIGN.md that parts of the kind are on.
func (k Kind) Level() int {
	return [...]int{Vocabulary: 0, Tool: 1, Service: 2, Backend: 2, Engine: 3, Gate: 4, Wiring: 5, Command: 6, Whole: 7}[k]
}

// A Part is a folder with all that lies under it, up to the next part. A path that ends in "/*"
// stands for each folder directly below it.
type Part struct {
	Path string
	Kind Kind
}

// Parts is the layout. The longest path that matches a folder wins, so that a backend may lie
// inside its service. The root folder holds the vocabulary and nothing below it.
var Parts = []Part{
	{".", Vocabulary},
	{"predicate", Vocabulary},

	{"internal/base/*", Tool},

	{"internal/change", Service},
	{"internal/hook", Service},
	{"internal/identity", Service},
	{"internal/run", Service},
	{"internal/evidence", Service},
	{"internal/approval", Service},
	{"internal/build", Service},
	{"internal/policy", Service},
	{"internal/mask", Service},
	{"internal/model", Service},
	{"internal/scan", Service},
	{"internal/trace", Service},
	{"internal/config", Service},
	{"internal/data", Service},
	{"internal/key", Service},
	{"internal/tlog", Service},
	{"internal/store", Service},
	{"internal/forge", Service},
	{"internal/rebuild", Service},
	{"internal/pipeline", Service},
	{"internal/evidence/oci", Backend},
	{"internal/key/*", Backend},
	{"internal/key/quote", Service}, // what sallyport and sallyport-quote say to one another
	{"internal/tlog/*", Backend},
	{"internal/store/*", Backend},
	{"internal/forge/*", Backend},

	// The shipped Rego is data of internal/policy, kept at the top because its readers are not
	// Go programmers; see partOf.
	{"policy", Service},
	{"deploy/*", Service}, // jobs and charts, for the same reason

	{"internal/engine", Engine},

	{"internal/gate/*", Gate},
	{"internal/render", Gate},
	{"internal/web", Gate},
	{"internal/api", Gate},
	{"internal/drill", Gate},
	{"internal/lab", Gate},

	{"internal/app", Wiring},
	{"cmd/sallyport", Command},
	{"cmd/sallyport-kms", Command},    // helper programs beside it: what they link would cost
	{"cmd/sallyport-pkcs11", Command}, // every start, or needs cgo
	{"cmd/sallyport-quote", Command},

	{"test", Whole},
	{"internal/layout", Whole},
}

// sameService names folders that are one service for rule 2.
var sameService = map[string]string{"policy": "internal/policy"}

// A Library is a prefix of import paths outside the module, with the folders that may import
// what it names. Longer prefixes win. Anyone is a folder list of its own.
type Library struct {
	Prefix  string
	Folders []string
}

// anyone may import libraries that cost nothing at start-up and belong to no vendor; nobody
// but tests may import the others.
var (
	anyone []string
	nobody = []string{}
)

// Libraries says who may import what. Go initialises everything that is linked, whether it is
// used or not, so a line here is a decision about start-up time as much as about vendors.
var Libraries = []Library{
	{"github.com/open-policy-agent/opa", []string{"internal/policy"}},
	{"github.com/sigstore/sigstore-go", []string{"internal/evidence"}},
	{"github.com/digitorus/timestamp", []string{"internal/evidence/keylesstest"}},
	{"github.com/sigstore/protobuf-specs", []string{"internal/evidence"}},
	{"github.com/sigstore/sigstore", []string{"internal/evidence"}},
	{"github.com/sigstore/sigstore/pkg/signature", []string{"internal/evidence", "cmd/sallyport-pkcs11"}},
	{"github.com/sigstore/sigstore/pkg/signature/kms", []string{"cmd/sallyport-kms"}},
	{"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin", []string{"cmd/sallyport-kms", "cmd/sallyport-pkcs11"}},
	{"github.com/google/go-sev-guest", []string{"cmd/sallyport-quote"}},
	{"github.com/google/go-tdx-guest", []string{"cmd/sallyport-quote"}},
	{"github.com/ThalesGroup/crypto11", []string{"cmd/sallyport-pkcs11"}},
	{"github.com/secure-systems-lab/go-securesystemslib", []string{"internal/evidence"}},
	{"github.com/secure-systems-lab/go-securesystemslib/encrypted", []string{"internal/key"}}, // cosign's key files
	{"github.com/theupdateframework/go-tuf", []string{"internal/evidence"}},                   // which sigstore-go links already
	{"github.com/in-toto/attestation", []string{"internal/evidence"}},
	{"github.com/in-toto/in-toto-golang", nobody}, // the peer of internal/evidence/intoto, in its tests
	{"google.golang.org/protobuf", []string{"internal/evidence"}},
	{"github.com/transparency-dev/tessera", []string{"internal/tlog/tessera"}},
	{"github.com/transparency-dev/merkle", []string{"internal/tlog", "internal/tlog/*"}},
	{"github.com/transparency-dev/formats", []string{"internal/tlog", "internal/tlog/*"}},
	{"golang.org/x/mod/sumdb", []string{"internal/tlog", "internal/tlog/*"}},
	{"k8s.io/klog", []string{"internal/tlog/tessera"}}, // to silence it
	{"modernc.org/sqlite", []string{"internal/store/sqlite"}},
	{"github.com/spf13/cobra", []string{"cmd/sallyport"}},
	{"github.com/spf13/pflag", []string{"cmd/sallyport"}},
	{"github.com/goccy/go-yaml", []string{"internal/base/strict"}},
	{"github.com/ProtonMail/go-crypto", []string{"internal/base/openpgp"}},
	{"github.com/hiddeco/sshsig", []string{"internal/base/sshsig"}},
	{"golang.org/x/crypto/ssh", []string{"internal/base/sshsig"}},
	{"golang.org/x/mod/modfile", []string{"internal/scan"}},
	{"github.com/BurntSushi/toml", []string{"internal/scan"}},
	{"github.com/google/osv-scalibr/semantic", []string{"internal/scan/advisory"}}, // to compare versions; nothing else of it
	{"github.com/google/osv-scalibr", nobody},
	{"github.com/pandatix/go-cvss", []string{"internal/scan/advisory"}},
	{"golang.org/x/term", []string{"cmd/sallyport"}},
	{"golang.org/x/sys", []string{"internal/base/*", "internal/run"}},
	{"golang.org/x/sync", anyone},
	{"golang.org/x/text/unicode/norm", []string{"internal/scan"}},
	{"github.com/google/go-containerregistry", nobody}, // its registry, in tests
	{"github.com/rogpeppe/go-internal", nobody},
	{"filippo.io/age", []string{"internal/run/record"}},           // texts kept for an auditor
	{"mvdan.cc/sh", []string{"internal/hook"}},                    // the grammar of bash; nothing that runs a line
	{"github.com/yuin/goldmark", []string{"internal/base/forms"}}, // to read what internal/render writes
}

// Reaches holds the standard library in the same way. Libraries of the operating system are
// reached through Go alone, since the product is built without cgo; and one place each starts
// other programs, which an adversary's configuration would like to choose.
var Reaches = []Library{
	{"C", nobody},
	{"unsafe", []string{"internal/run/confine"}}, // for system calls that golang.org/x/sys does not wrap
	{"plugin", nobody},
	{"os/exec", []string{"internal/base/git", "internal/base/openpgp", "internal/base/sshsig", "internal/key/kms", "internal/run", "internal/build", "internal/rebuild", "internal/scan/tool", "internal/scan/deep", "internal/app"}},
	{"database/sql", []string{"internal/store/*"}},
	{"net/http", []string{"internal/evidence/oci", "internal/forge/*", "internal/key/*", "internal/tlog/*", "internal/run", "internal/gate/*", "internal/web", "internal/api", "internal/app"}},
}

// openNote finds notes about work to be done; it is spelt so as not to find itself.
var openNote = regexp.MustCompile(`\b(T` + `ODO|F` + `IXME|X` + `XX)\b`)

// machinePath finds what an editor or a tool leaves of the machine it ran on: a home folder's
// Go cache, a build folder. It is spelt so as not to find itself.
var machinePath = regexp.MustCompile(`(/w` + `ork/(?:main|shared|\.[a-z]+)\b|/r` + `oot/(?:go|\.cache)\b|/t` + `mp/(?:brief|bash_jobs)\b|/home/[a-z0-9_]+/go/pkg/mod\b)`)

// allows reports whether the list of folders holds dir.
func allows(folders []string, dir string) bool {
	return folders == nil || slices.ContainsFunc(folders, func(pattern string) bool {
		_, ok := match(pattern, dir)
		return ok
	})
}
