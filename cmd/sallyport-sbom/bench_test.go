package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/sallyport-dev/sallyport/internal/scan/deep"
)

// BenchmarkImage reads one small image with a worker that is started for it, and with one that waited.
func BenchmarkImage(b *testing.B) {
	dir := b.TempDir()
	t := &testing.T{}
	file := write(t, filepath.Join(dir, "app.tar"), archive(t, newImage(t).layout()...))
	s := deep.Starter{Executable: filepath.Join(bin, "sallyport")}
	ask := func(b *testing.B, w *deep.Worker) {
		path, _, err := w.Stage(context.Background(), file)
		if err == nil {
			_, err = w.Ask(context.Background(), deep.File, path, nil)
		}
		if err != nil {
			b.Fatal(err)
		}
		_ = w.Close()
	}
	b.Run("started", func(b *testing.B) {
		for b.Loop() {
			w, err := s.Start()
			if err != nil {
				b.Fatal(err)
			}
			ask(b, w)
		}
	})
	b.Run("waiting", func(b *testing.B) {
		p := s.Pool(1)
		defer p.Close()
		for b.Loop() {
			b.StopTimer()
			w, err := p.Take(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			ask(b, w)
		}
	})
}
