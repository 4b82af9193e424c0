package scan

import "testing"

// Paths that a file system could take for one another fold to one, and their patterns with them.
func TestFold(t *testing.T) {
	for _, tt := range []struct{ a, b string }{
		{"Deploy/Prod.yaml", "deploy/prod.yaml"},
		{"caf\u00e9/x", "cafe\u0301/x"},
		{"CAF\u00c9/x", "cafe\u0301/x"},
		{"deploy./x", "deploy/x"},
		{"deploy/prod.yaml.", "deploy/prod.yaml"},
		{"dep\u200bloy/x", "deploy/x"},
		{"\u212aey", "key"},
	} {
		if Fold(tt.a) != Fold(tt.b) {
			t.Errorf("%q folds to %q, %q to %q", tt.a, Fold(tt.a), tt.b, Fold(tt.b))
		}
	}
	if Fold("a/b") == Fold("a/c") {
		t.Error("two paths fold to one")
	}
	if got := FoldPattern("/Caf\u0065\u0301/**/*.YAML @X"); got != "/caf\u00e9/**/*.yaml @x" {
		t.Errorf("the pattern folds to %q", got)
	}
}
