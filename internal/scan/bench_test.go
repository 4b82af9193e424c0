package scan

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport"
)

// cleanText is source code in which keywords stand and no secret does.
func cleanText(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "// apply%d returns the tokens that the author of the key asked for, if access was given.\n"+
			"func apply%d(ctx context.Context, keys map[string]int, secretName string) (tokens []Token, err error) {\n"+
			"\tfor key, value := range keys {\n\t\tif value > len(secretName) { continue }\n"+
			"\t\ttokens = append(tokens, Token{Kind: key, Auth: authFor(key), Count: %d})\n\t}\n\treturn tokens, nil\n}\n\n", i, i, i)
	}
	return b.Bytes()[:size]
}

// dirtyText is such code with a secret every thousand bytes.
func dirtyText(size int) []byte {
	clean := cleanText(size)
	secrets := []string{
		"const token = \"" + githubToken + "\"\n", "AWS_ACCESS_KEY_ID=" + awsKey + "\n",
		"api_key: '8f3kD92mxQ7vLp04Zt6Rw1yB5nHs'\n", "dsn = postgres://app:Xk29vQ7dRw@db.internal/x\n",
	}
	var b bytes.Buffer
	for i := 0; len(clean) > 0; i++ {
		n := min(len(clean), 1000)
		b.Write(clean[:n])
		b.WriteString("\n" + secrets[i%len(secrets)])
		clean = clean[n:]
	}
	return b.Bytes()
}

func BenchmarkFind(b *testing.B) {
	m := NewSecretMatcher()
	for _, bb := range []struct {
		name string
		text []byte
	}{
		{"clean", cleanText(1 << 20)},
		{"dirty", dirtyText(1 << 20)},
		{"long line", bytes.ReplaceAll(cleanText(1<<20), []byte("\n"), []byte(" "))},
		{"base64", []byte(strings.Repeat("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", 1<<20/36))},
		{"keywords", []byte(strings.Repeat("key=", 1<<18))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			m.Find("main.go", bb.text, nil)
			b.SetBytes(int64(len(bb.text)))
			b.ReportAllocs()
			for b.Loop() {
				m.Find("main.go", bb.text, nil)
			}
		})
	}
}

// The same rules over all of the text, as the measure of what the windows save.
func BenchmarkFindWholeText(b *testing.B) {
	m, text := testMatcher(), cleanText(64<<10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		findSlowly(m, "main.go", text, nil)
	}
}

func BenchmarkHiddenIn(b *testing.B) {
	for name, text := range map[string][]byte{
		"ascii": cleanText(1 << 20),
		"mixed": bytes.Repeat([]byte("Zutritt für Befugte: 立入禁止, вход воспрещён 🙂\n"), 1<<20/70),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				HiddenIn(text)
			}
		})
	}
}

func BenchmarkClassify(b *testing.B) {
	for b.Loop() {
		Classify("services/billing/internal/handler/account.go", "100644", nil)
	}
}

func BenchmarkLoadRules(b *testing.B) {
	for b.Loop() {
		if _, err := loadRules(gitleaksRules, ownRules); err != nil {
			b.Fatal(err)
		}
	}
}

// A second run of a change of 400 files reads the cache alone.
func BenchmarkChangeWarm(b *testing.B) {
	store, c := &blobs{}, &cache{data: map[string][]byte{}}
	var files []sallyport.File
	for i := range 400 {
		files = append(files, store.added(fmt.Sprintf("pkg%d/a.go", i), fmt.Sprintf("// %d\n%s", i, cleanText(8<<10))))
	}
	change := &sallyport.Change{Files: files}
	s := New(store, c)
	for b.Loop() {
		if _, err := s.Change(b.Context(), change); err != nil {
			b.Fatal(err)
		}
	}
}
