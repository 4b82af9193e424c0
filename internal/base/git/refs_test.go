package git

import "testing"

func TestUpdatedRef(t *testing.T) {
	dir := sample(t)
	run(t, dir, "symbolic-ref", "refs/heads/alias", "refs/heads/trunk")
	run(t, dir, "symbolic-ref", "refs/heads/trunk", "refs/heads/main")
	run(t, dir, "symbolic-ref", "refs/heads/unborn", "refs/heads/later")
	run(t, dir, "symbolic-ref", "refs/heads/round", "refs/heads/about")
	run(t, dir, "symbolic-ref", "refs/heads/about", "refs/heads/round")
	r := open(t, dir)
	for name, want := range map[string]string{
		"refs/heads/main":   "refs/heads/main",
		"refs/heads/alias":  "refs/heads/main",
		"refs/heads/unborn": "refs/heads/later",
		"refs/heads/new":    "refs/heads/new",
		"refs/heads/round":  "",
	} {
		got, err := r.UpdatedRef(t.Context(), name)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("UpdatedRef(%s) = %q, %v; want %q", name, got, err, want)
		}
	}
}
