package record

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkAppend is what the prompt gate waits for before a request is forwarded. It reports the
// median and the 99th percentile of a call beside the throughput.
func BenchmarkAppend(b *testing.B) {
	text := make([]byte, 4<<10)
	for _, writers := range []int{1, 32, 512} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			w, err := Create(filepath.Join(b.TempDir(), "rec"), header("bench"))
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			var wg sync.WaitGroup
			took := make([][]time.Duration, writers)
			b.ResetTimer()
			for i := range writers {
				wg.Go(func() {
					for range b.N/writers + 1 {
						start := time.Now()
						if _, err := w.Append(KindRequest, benchBody{"agent-1", "claude-opus-4", "/v1/messages", 200}, w.Commit("prompt", text)); err != nil {
							b.Error(err)
							return
						}
						took[i] = append(took[i], time.Since(start))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			all := slices.Sorted(slices.Values(slices.Concat(took...)))
			b.ReportMetric(float64(len(all))/b.Elapsed().Seconds(), "appends/s")
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
		})
	}
}

type benchBody struct {
	Principal string `json:"principal"`
	Model     string `json:"model"`
	Path      string `json:"path"`
	Status    int    `json:"status"`
}

// BenchmarkVerify reads a record of 20,000 entries.
func BenchmarkVerify(b *testing.B) {
	w, err := Create(filepath.Join(b.TempDir(), "rec"), header("bench"))
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for range 200 {
				if _, err := w.Append(KindRequest, benchBody{"agent-1", "claude-opus-4", "/v1/messages", 200}, w.Commit("prompt", nil)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := w.Seal(End{Conclusion: "success"}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if rep := Verify(w.Dir(), Expect{}); !rep.OK() {
			b.Fatal(rep)
		}
	}
	b.ReportMetric(20_001*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
