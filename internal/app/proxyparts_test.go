package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
)

// dirty is a request of 100 KiB with 14 secrets that nobody has.
func dirty() []byte {
	const line = "func (s *Store) Get(ctx context.Context, key string) ([]byte, error) { return s.read(ctx, \"objects/\"+key) }\n"
	var content []any
	for i := range 14 {
		sum := sha256.Sum256([]byte{byte(i)})
		content = append(content, map[string]any{"type": "text", "text": strings.Repeat(line, 7300/len(line)) + "\nexport SERVICE_" + string(rune('A'+i)) + "_TOKEN=" + hex.EncodeToString(sum[:20]) + "\n"})
	}
	b, err := json.Marshal(map[string]any{"model": "m", "messages": []any{map[string]any{"role": "user", "content": content}}})
	if err != nil {
		panic(err)
	}
	return b
}

func BenchmarkProxyMask(b *testing.B) {
	m, err := newProxyMasker(&App{}, &config.PromptMask{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	body := dirty()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		_, found, err := m.MaskJSON("s", body, nil)
		if err != nil || len(found) == 0 {
			b.Fatal(found, err)
		}
	}
}

func BenchmarkProxyJournal(b *testing.B) {
	w, err := openProxyRecord(b.TempDir()+"/r", "g", "github.com/acme/app", nil, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	j := proxyJournal{w}
	body := dirty()
	for b.Loop() {
		if err := j.Append(context.Background(), &prompt.Record{Kind: prompt.KindRequest}, body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkProxy is the whole gate with everything joined in, in one process.
func BenchmarkProxy(b *testing.B) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"content":[{"type":"text","text":"ok"}],"usage":{"input_tokens":5,"output_tokens":2}}`)
	}))
	defer upstream.Close()
	k := NewProxyKey()
	c := &config.Prompt{
		Providers: []config.PromptProvider{{Name: "anthropic", Dialect: "anthropic", Endpoints: []string{upstream.URL}, Credential: "none"}},
		Models:    []config.PromptModel{{Provider: "anthropic", Name: "m"}},
		Keys:      []config.PromptKey{{Name: "k", Hash: k.Hash, PromptCaller: config.PromptCaller{Principal: "agent:a"}}},
	}
	a := &App{Getenv: func(string) string { return "" }}
	o, err := a.proxyGate(c, listedModels{c.Models}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	w, err := openProxyRecord(b.TempDir()+"/r", "g", "github.com/acme/app", nil, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	o.Journal, o.LateEnds = proxyJournal{w}, true
	gate, err := prompt.New(*o)
	if err != nil {
		b.Fatal(err)
	}
	defer gate.Wait()
	front := httptest.NewServer(gate)
	defer front.Close()
	client := &http.Transport{MaxIdleConnsPerHost: 64}
	for _, size := range []string{"2KiB", "100KiB"} {
		body := dirty()
		if size == "2KiB" {
			body = []byte(`{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("some text ", 200) + `"}]}`)
		}
		b.Run(size, func(b *testing.B) {
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, front.URL+"/v1/messages", bytes.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					req.Header.Set("X-Api-Key", k.Key)
					req.Header.Set("Content-Type", "application/json")
					resp, err := client.RoundTrip(req)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						b.Error(resp.Status)
					}
				}
			})
		})
	}
}
