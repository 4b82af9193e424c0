package strict

import (
	"errors"
	"strings"
	"testing"
)

type doc struct {
	A string   `yaml:"a" json:"a"`
	L []string `yaml:"l" json:"l"`
}

func TestYAML(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "a: x\nl: [y]\n", ""},
		{"unknown key", "a: x\nb: y\n", "unknown field"},
		{"duplicate key", "a: x\na: y\n", "already defined"},
		{"second document", "a: x\n---\na: y\n", "more than one YAML document"},
		{"alias", "a: &x y\nl: [*x]\n", "anchors, aliases"},
		{"tag without a value", "l: ! ", "tags"},
		{"empty", "", "empty"},
		{"only a comment", "# nothing\n", "empty"},
		{"deep flow", "l: " + strings.Repeat("[", 300), "nested too deeply"},
		{"large", strings.Repeat("# x\n", 6000), "too large"},
		{"long line", "a: " + strings.Repeat("x", 9000), "longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d doc
			check(t, YAML([]byte(tt.in), 20_000, &d), tt.want)
		})
	}
}

func TestJSON(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", `{"a":"x","l":["y"]}`, ""},
		{"unknown key", `{"b":"x"}`, "unknown field"},
		{"duplicate key", `{"a":"x","a":"y"}`, "twice"},
		{"duplicate key by escape", `{"a":"x","\u0061":"y"}`, "twice"},
		{"duplicate key by case", `{"a":"x","A":"y"}`, "twice"},
		{"trailing data", `{"a":"x"} {}`, "after the end"},
		{"cut short", `{"a":`, "cut short"},
		{"deep", strings.Repeat("[", 300) + strings.Repeat("]", 300), "deep"},
		{"large", `{"a":"` + strings.Repeat("x", 2000) + `"}`, "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d doc
			check(t, JSON([]byte(tt.in), 1000, &d), tt.want)
		})
	}
	if err := LaxJSON([]byte(`{"a":"x","other":1}`), 1000, &doc{}); err != nil {
		t.Errorf("LaxJSON refused an unknown key: %v", err)
	}
	if err := CheckJSON([]byte("[1]"), 2); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func check(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

func FuzzYAML(f *testing.F) {
	f.Add([]byte("a: x\nl: [y]\n"))
	f.Add([]byte("a: &x y\nl: [*x]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d doc
		if YAML(b, 1<<16, &d) == nil && len(b) == 0 {
			t.Error("accepted nothing")
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":"x","a":"y"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d doc
		if JSON(b, 1<<16, &d) == nil && CheckJSON(b, 1<<16) != nil {
			t.Error("JSON accepted what CheckJSON refuses")
		}
	})
}
