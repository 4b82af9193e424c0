package mask

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// labelled reads a file of labelled texts.
func labelled(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// TestLabelledSecrets holds recall and false alarms to what docs/masking.md says of them.
func TestLabelledSecrets(t *testing.T) {
	var list []struct {
		Rule   string
		Secret bool
		Text   string
	}
	labelled(t, "noseyparker-examples.json.gz", &list)
	e := engine(t, Options{})
	var n, hit [2]int
	for _, x := range list {
		k := 0
		if x.Secret {
			k = 1
		}
		n[k]++
		found := e.Find(nil, []byte(x.Text))
		if len(found) > 0 {
			hit[k]++
		}
		if (len(found) > 0) != x.Secret {
			t.Logf("%v %s: %.300q: %q", x.Secret, x.Rule, x.Text, kindsIn([]byte(x.Text), found))
		}
	}
	recall, alarms := float64(hit[1])/float64(n[1]), float64(hit[0])/float64(n[0])
	t.Logf("secrets %d of %d (%.3f), false alarms %d of %d (%.3f)", hit[1], n[1], recall, hit[0], n[0], alarms)
	if recall < minRecall || alarms > maxAlarms {
		t.Errorf("recall %.3f, want %.3f; false alarms %.3f, want %.3f at most", recall, minRecall, alarms, maxAlarms)
	}
}

const minRecall, maxAlarms = 0.735, 0.255

// TestLabelledPersonal measures by kind: a label is found if a finding of its kind covers half of it, and a
// finding is right if a label of its kind shares half of it.
func TestLabelledPersonal(t *testing.T) {
	var list []struct {
		Text  string
		Spans []struct {
			Type       string
			Start, End int
		}
	}
	labelled(t, "presidio-research.json.gz", &list)
	kinds := map[string]Kind{"EMAIL_ADDRESS": Email, "PHONE_NUMBER": Phone, "CREDIT_CARD": Card, "IBAN_CODE": IBAN, "US_SSN": NationalID, "IP_ADDRESS": IP, "PERSON": Name, "STREET_ADDRESS": Address}
	e := engine(t, Options{Personal: AllPersonal()})
	type tally struct{ labels, found, findings, right int }
	counts := map[Kind]*tally{}
	for _, k := range AllPersonal() {
		counts[k] = &tally{}
	}
	for _, x := range list {
		runes := []rune(x.Text)
		offset := func(n int) int { return len(string(runes[:min(n, len(runes))])) }
		found := e.Find(nil, []byte(x.Text))
		right := map[int]bool{}
		for _, s := range x.Spans {
			k, ok := kinds[s.Type]
			if !ok {
				continue
			}
			c := counts[k]
			c.labels++
			a, b := offset(s.Start), offset(s.End)
			hit := false
			for i, f := range found {
				if f.Kind != k {
					continue
				}
				if shared := min(b, f.End) - max(a, f.Start); shared*2 >= min(b-a, f.End-f.Start) && shared > 0 {
					right[i] = true
					hit = hit || shared*2 >= b-a
				}
			}
			if hit {
				c.found++
			} else if k != Name && k != Address {
				t.Logf("missed %s %q in %.120q", k, x.Text[a:b], x.Text)
			}
		}
		for i, f := range found {
			if c := counts[f.Kind]; c != nil {
				c.findings++
				if right[i] {
					c.right++
				} else if f.Kind != Name && f.Kind != Address {
					t.Logf("wrong %s %q in %.160q", f.Kind, x.Text[f.Start:f.End], x.Text)
				}
			}
		}
	}
	kept := map[Kind][2]float64{Email: {.95, .95}, Card: {.9, .9}, IBAN: {.95, .95}, NationalID: {.9, .9}, IP: {.9, .9}}
	for _, k := range AllPersonal() {
		c := counts[k]
		recall, precision := float64(c.found)/float64(c.labels), float64(c.right)/float64(max(c.findings, 1))
		line := fmt.Sprintf("%-22s recall %.3f (%d of %d), precision %.3f (%d of %d)", k, recall, c.found, c.labels, precision, c.right, c.findings)
		t.Log(line)
		if want, ok := kept[k]; ok && (recall < want[0] || precision < want[1]) {
			t.Errorf("%s; want %v", line, want)
		}
	}
	if len(counts) != len(AllPersonal()) || slices.Contains(AllPersonal(), Kind("")) {
		t.Error("a kind is not measured")
	}
}
