package advisory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// data returns real records: those of $ADVISORIES, a folder with exports, or the subset that lies here.
func data(tb testing.TB) string {
	if dir := os.Getenv("ADVISORIES"); dir != "" {
		return dir
	}
	return filepath.Join("testdata", "osv")
}

func BenchmarkImport(b *testing.B) {
	p := filepath.Join(b.TempDir(), "a.db")
	var records int
	for b.Loop() {
		m, err := Import(context.Background(), p, []Origin{{Path: data(b)}}, now)
		if err != nil {
			b.Fatal(err)
		}
		records = m.Records
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkOpenAnd1000 is what a command pays: the file is opened, and a thousand packages are looked up of which one in
// a hundred has advisories.
func BenchmarkOpenAnd1000(b *testing.B) {
	_, p := imported(b, data(b))
	for b.Loop() {
		db, err := Open(p)
		if err != nil {
			b.Fatal(err)
		}
		for i := range 1000 {
			q := Package{"pypi", fmt.Sprint("package-", i), "1.0.0"}
			if i%100 == 0 {
				q = Package{"pypi", "requests", "2.31.0"}
			}
			if a := db.Match(q); a.Unknown != "" {
				b.Fatal(a)
			}
		}
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "look-ups/s")
}

func BenchmarkMatch(b *testing.B) {
	db, _ := imported(b, data(b))
	for name, p := range map[string]Package{
		"nothing-known": {"golang", "example.com/nothing", "v1.0.0"}, "few": {"pypi", "requests", "2.31.0"}, "many": {"golang", "golang.org/x/crypto", "v0.35.0"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				db.Match(p)
			}
		})
	}
}
