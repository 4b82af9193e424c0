package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// dirtyText is clean text with a secret every 7 KiB, as 14 in 100 KiB.
func dirtyText(size int) []byte {
	clean := cleanText(size)
	secrets := []string{"const token = \"" + githubToken() + "\"\n", "AWS_ACCESS_KEY_ID=" + awsID + "\n", "api_key: '" + "8f3kD92mxQ7v" + "Lp04Zt6Rw1yB5nHs'\n", "dsn = postgres://app:" + "Xk29vQ7dRw@db.internal/x\n"}
	var b bytes.Buffer
	for i := 0; len(clean) > 0; i++ {
		n := min(len(clean), 7<<10)
		b.Write(clean[:n])
		b.WriteString("\n" + secrets[i%len(secrets)])
		clean = clean[n:]
	}
	return b.Bytes()[:size]
}

func bodyOf(text []byte) []byte {
	b, err := json.Marshal(map[string]any{"model": "m", "messages": []any{map[string]any{"role": "user", "content": []any{map[string]string{"type": "text", "text": string(text)}}}}})
	if err != nil {
		panic(err)
	}
	return b
}

func BenchmarkFind(b *testing.B) {
	e := engine(b, Options{})
	for _, bb := range []struct {
		name string
		text []byte
	}{
		{"clean", cleanText(64 << 10)},
		{"dirty", dirtyText(64 << 10)},
		{"prose", []byte(strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody knows why it does so every day. ", 700))},
		{"base64", []byte(strings.Repeat("kJ8vQ2mZx7Lp0Wd4RtYb6Nc1HsGf9Ea3UoTiXqV5", 1600))},
		{"hostile base64 text", []byte(strings.Repeat("cGFzc3dvcmQ9cGFzc3dvcmQ9", 2700))},
		{"hostile names", []byte(strings.Repeat("key=", 16<<10))},
		{"hostile names and values", []byte(strings.Repeat("password:'a ", 5400))},
		{"hostile prefixes", []byte(strings.Repeat("AKIA ghp_ sk-", 5000))},
		{"hostile runs", []byte(strings.Repeat("/AKIA", 13000))},
		{"hostile schemes", []byte(strings.Repeat("a://", 16<<10))},
		{"hostile marks", []byte(strings.Repeat(":@", 32<<10))},
		{"hostile jwt", []byte(strings.Repeat("-eyJ", 16<<10))},
		{"hostile pem", []byte(strings.Repeat("-----BEGIN PRIVATE KEY-----", 2400))},
		{"hostile curl", []byte(strings.Repeat("curl ", 13000))},
		{"hostile quotes", []byte(strings.Repeat("pass:\"\\", 10000))},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var dst []Finding
			b.SetBytes(int64(len(bb.text)))
			b.ReportAllocs()
			for b.Loop() {
				dst = e.Find(dst[:0], bb.text)
			}
		})
	}
}

// BenchmarkMaskJSON is what a request costs: the walk, the search, the splice.
func BenchmarkMaskJSON(b *testing.B) {
	e := engine(b, Options{})
	full := engine(b, Options{Personal: AllPersonal()})
	for _, size := range []int{4 << 10, 100 << 10, 2 << 20} {
		for _, kind := range []string{"clean", "dirty"} {
			text := cleanText(size)
			if kind == "dirty" {
				text = dirtyText(size)
			}
			body := bodyOf(text)
			for name, e := range map[string]*Engine{"secrets": e, "and personal": full} {
				b.Run(fmt.Sprintf("%d KiB %s %s", size>>10, kind, name), func(b *testing.B) {
					v := NewVault()
					var found []Finding
					var out []byte
					b.SetBytes(int64(len(body)))
					b.ReportAllocs()
					for b.Loop() {
						found, _ = e.FindJSON(found[:0], body)
						out = v.Mask(out[:0], body, found)
					}
				})
			}
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := New(Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
