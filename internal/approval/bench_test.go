package approval

import "testing"

func BenchmarkScreen(b *testing.B) {
	in := example()
	for range 2000 {
		in.Input.Change.Files = append(in.Input.Change.Files, in.Input.Change.Files[0])
		in.Input.Change.Commits = append(in.Input.Change.Commits, in.Input.Change.Commits[0])
	}
	b.ReportAllocs()
	for b.Loop() {
		Screen(in)
	}
}
