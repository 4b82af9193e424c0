package sallyport

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
)

// What nobody set must not open anything.
func TestZeroValuesAreSafe(t *testing.T) {
	var d Decision
	if d.Outcome != Shut || d.ExitStatus() != ExitShut {
		t.Errorf("the zero decision is %v with status %d", d.Outcome, d.ExitStatus())
	}
	var m Mode
	if !m.Enforces() || !Mode("misspelt").Enforces() {
		t.Error("an unset or unknown mode does not enforce")
	}
	var o Outcome
	if err := o.UnmarshalText([]byte("opened")); err == nil || o != Shut {
		t.Errorf("an unknown outcome became %v, %v", o, err)
	}
	if Outcome(7).String() != "shut" {
		t.Error("an outcome out of range is not shut")
	}
	var p Principal
	if p.Kind != Nobody {
		t.Error("the zero principal is somebody")
	}
}

func TestExitStatus(t *testing.T) {
	for _, tt := range []struct {
		name      string
		outcome   Outcome
		mode      Mode
		undecided bool
		want      int
	}{
		{"open", Open, Enforce, false, 0},
		{"shut", Shut, Enforce, false, 2},
		{"waiting", Waiting, Enforce, false, 3},
		{"shut, observed", Shut, Observe, false, 0},
		{"waiting, warned", Waiting, Warn, false, 0},
		{"undecided", Shut, Enforce, true, 1},
		{"undecided stays 1 when observed", Shut, Observe, true, 1},
		{"undecided is never open", Open, Observe, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decision{Outcome: tt.outcome, Mode: tt.mode, Undecided: tt.undecided}
			if got := d.ExitStatus(); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// A rule's mode changes the exit status by exactly its own reasons.
func TestExitStatusByRule(t *testing.T) {
	shut := func(m Mode) Reason { return Reason{Outcome: Shut, Mode: m} }
	waits := func(m Mode) Reason { return Reason{Outcome: Waiting, Mode: m} }
	for _, tt := range []struct {
		name    string
		outcome Outcome
		mode    Mode
		reasons []Reason
		want    int
	}{
		{"no rule has a mode", Shut, Enforce, []Reason{shut("")}, ExitShut},
		{"the only reason warns", Shut, Enforce, []Reason{shut(Warn)}, 0},
		{"what warns beside what shuts", Shut, Enforce, []Reason{shut(Warn), shut("")}, ExitShut},
		{"what warns beside what waits", Shut, Enforce, []Reason{shut(Observe), waits("")}, ExitWaiting},
		{"a rule enforces where the repository observes", Shut, Observe, []Reason{shut(Enforce), waits("")}, ExitShut},
		{"a rule without a mode observes with the repository", Shut, Observe, []Reason{shut("")}, 0},
		{"a mode that is none enforces", Shut, Enforce, []Reason{shut("misspelt")}, ExitShut},
		{"an outcome that no reason gives", Shut, Enforce, []Reason{waits(Warn)}, ExitShut},
		{"no reasons", Shut, Enforce, nil, ExitShut},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decision{Outcome: tt.outcome, Mode: tt.mode, Reasons: tt.reasons}
			if got := d.ExitStatus(); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			d.Undecided = true
			if got := d.ExitStatus(); got != ExitUndecided {
				t.Errorf("undecided: got %d", got)
			}
		})
	}
}

func TestParseDigest(t *testing.T) {
	sha1, sha256 := strings.Repeat("0a", 20), strings.Repeat("0a", 32)
	for _, tt := range []struct {
		in string
		ok bool
	}{
		{"sha256:" + sha256, true}, {"gitCommit:" + sha1, true}, {"gitCommit:" + sha256, true}, {"gitTree:" + sha1, true},
		{"sha512:" + sha256 + sha256, true},
		{"", false}, {"main", false}, {"sha256:", false}, {"sha256:" + sha1, false}, {"md5:" + sha1, false},
		{"sha256:" + strings.ToUpper(sha256), false}, {"gitcommit:" + sha1, false}, {" sha256:" + sha256, false},
		{"sha256:" + sha256 + "\n", false},
	} {
		d, err := ParseDigest(tt.in)
		if (err == nil) != tt.ok {
			t.Errorf("%q: got %v", tt.in, err)
		}
		if err != nil && (!errors.Is(err, ErrDigest) || d != "") {
			t.Errorf("%q: got %q and %v, want no digest and ErrDigest", tt.in, d, err)
		}
	}
}

func TestDecisionRoundTrip(t *testing.T) {
	d := Decision{
		Version: "v1", Gate: GateMerge, Subject: Subject{Digest: GitCommit(strings.Repeat("1", 40)), Name: "<main>"},
		Outcome: Waiting, Mode: Warn, Reasons: []Reason{{Code: "x", Outcome: Waiting, Text: "a & b"}},
	}
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), `\u003c`) || strings.HasSuffix(string(b), "\n") {
		t.Errorf("not the one encoding: %s", b)
	}
	back, err := ParseDecision(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Encode()
	if err != nil || string(again) != string(b) {
		t.Errorf("got %s, want %s", again, b)
	}
	if _, err := ParseDecision([]byte(`{"version":"v2"}`)); err == nil {
		t.Error("accepted an unknown version")
	}
}

func TestEvidenceAbout(t *testing.T) {
	ev := Evidence{Statement: Statement{Subject: []StatementSubject{{Digest: map[string]string{"gitCommit": "aa", "gitTree": ""}}}}}
	if !ev.About("gitCommit:aa") {
		t.Error("not about its subject")
	}
	for _, d := range []Digest{"gitTree:aa", "gitCommit:ab", "gitTree:", "", "gitCommit:"} {
		if ev.About(d) {
			t.Errorf("about %q", d)
		}
	}
}

// No path can hide in a terminal, and no two look alike.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a/b.go", "\xff", `"quoted"`, "\x1b[2J", "a\u202eb", "日本.md", "a\nb"} {
		f.Add(s, s+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, r := range Path(a).String() {
			if !unicode.IsPrint(r) {
				t.Errorf("%q shows %U", a, r)
			}
		}
		if a != b && Path(a).String() == Path(b).String() {
			t.Errorf("%q and %q look alike", a, b)
		}
		enc, err := json.Marshal(Path(a))
		if err != nil {
			t.Fatal(err)
		}
		var back Path
		if err := json.Unmarshal(enc, &back); err != nil || back != Path(a) {
			t.Errorf("%q became %q, %v", a, back, err)
		}
	})
}

func TestSeverityRank(t *testing.T) {
	for rank, s := range []Severity{"", Low, Medium, High, Critical} {
		if got := s.Rank(); got != rank {
			t.Errorf("%q.Rank() = %d, want %d", s, got, rank)
		}
	}
	if got := Severity("HIGH").Rank(); got != 0 {
		t.Errorf("a severity that is not known has the rank %d, want 0", got)
	}
}
