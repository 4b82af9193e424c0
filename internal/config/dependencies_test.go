package config

import (
	"errors"
	"reflect"
	"testing"
)

func TestRegistries(t *testing.T) {
	const head = "version: 1\nrepository: example/shop\ndata:\n  dependencies:\n    registries: "
	c, err := Parse([]byte(head + "[npm.example.com, \"npm.example.com:8443\", file]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"registries": []string{"npm.example.com", "npm.example.com:8443", "file"}}
	if got := c.Data.Overrides()["dependencies"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if c, err = Parse([]byte(head + "[]\n")); err != nil || c.Data.Overrides()["dependencies"] == nil {
		t.Errorf("an empty list was lost: %v, %v", c.Data.Overrides(), err)
	}
	for _, bad := range []string{"[https://npm.example.com]", "[NPM.example.com]", "[\"\"]", "[\"*\"]", "[npm.example.com/path]", "[a.example, a.example]", "npm.example.com"} {
		if _, err := Parse([]byte(head + bad + "\n")); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want a refusal", bad, err)
		}
	}
}
