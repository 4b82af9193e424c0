package app

import "testing"

func TestGitVersion(t *testing.T) {
	for _, tt := range []struct {
		said string
		want CheckState
	}{
		{"git version 2.39.5", OK},
		{"git version 2.39.0.windows.1", OK},
		{"git version 2.51.0 (Apple Git-154)", OK},
		{"git version 2.100.0", OK},
		{"git version 3.0.0-rc1", OK},
		{"git version 2.38.9", Broken},
		{"git version 1.99.1", Broken},
		{"git version next", Advice},
		{"", Advice},
	} {
		t.Run(tt.said, func(t *testing.T) {
			if got := gitIs(tt.said); got.State != tt.want || got.Name != "git" || (got.State != OK) != (got.Next != "") {
				t.Errorf("got %+v, want %s", got, tt.want)
			}
		})
	}
}
