package render

import (
	"bytes"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	for _, tt := range []struct{ name, before, after, want string }{
		{"nothing", "a\nb\n", "a\nb\n", ""},
		{"a line", "a\nb\nc\n", "a\nx\nc\n", "--- f\n+++ f\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
		{"a new file", "", "a\n", "--- f\n+++ f\n@@ -1,0 +1,1 @@\n+a\n"},
		{"an empty file", "a\n", "", "--- f\n+++ f\n@@ -1,1 +1,0 @@\n-a\n"},
		{"two places", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", "x\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\ny\n",
			"--- f\n+++ f\n@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -9,4 +9,4 @@\n 9\n 10\n 11\n-12\n+y\n"},
		{"two places close by", "1\n2\n3\n4\n5\n", "x\n2\n3\n4\ny\n", "--- f\n+++ f\n@@ -1,5 +1,5 @@\n-1\n+x\n 2\n 3\n 4\n-5\n+y\n"},
		{"what acts on a terminal", "\ta\x1b[2J\n", "\tb\u202e\n", "--- f\n+++ f\n@@ -1,1 +1,1 @@\n-\ta\\x1b[2J\n+\tb\\u202e\n"},
	} {
		var b bytes.Buffer
		if err := Diff(&b, "f", []byte(tt.before), []byte(tt.after), Options{}); err != nil || b.String() != tt.want {
			t.Errorf("%s: got %v\n%s\nwant\n%s", tt.name, err, b.String(), tt.want)
		}
	}
}

// Whatever changes, the edits lead from one text to the other.
func FuzzEdits(f *testing.F) {
	f.Add("a\nb\nc", "a\nx\nc\nd")
	f.Add("", "\n\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
		var olds, news []string
		for _, e := range edits(a, b) {
			if e.old != len(olds) || e.new != len(news) {
				t.Fatalf("%+v after %d and %d lines", e, len(olds), len(news))
			}
			if e.kind != '+' {
				olds = append(olds, e.line)
			}
			if e.kind != '-' {
				news = append(news, e.line)
			}
		}
		if strings.Join(olds, "\n") != before || strings.Join(news, "\n") != after {
			t.Errorf("%q to %q: got %q to %q", before, after, olds, news)
		}
	})
}
