package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
)

// metricsEvery is how often metrics are exported.
const metricsEvery = 15 * time.Second

// exportMetrics pushes the gate's numbers to a collector, or to a file, until stop is called, which
// pushes them once more. A collector that does not answer is told of in the log, and nothing else.
func (a *App) exportMetrics(ctx context.Context, gate *prompt.Gate, to string, log *slog.Logger) (stop func()) {
	if to == "" {
		return func() {}
	}
	start := a.now()
	push := func() {
		b, err := json.Marshal(otlp(gate.Metrics(), start, a.now()))
		if err == nil {
			err = sendMetrics(context.WithoutCancel(ctx), to, b)
		}
		if err != nil {
			log.WarnContext(ctx, "metrics could not be exported", "error", err)
		}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(metricsEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				push()
			case <-end:
				push()
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

func sendMetrics(ctx context.Context, to string, b []byte) error {
	if path, ok := strings.CutPrefix(to, "file:"); ok {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(append(b, '\n'))
		if e := f.Close(); err == nil {
			err = e
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if !strings.HasSuffix(to, "/v1/metrics") {
		to += "/v1/metrics"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answers %s", resp.Status)
	}
	return nil
}

// otlp is an ExportMetricsServiceRequest of OTLP 1 in its JSON form: 64-bit numbers are strings.
func otlp(metrics []prompt.Metric, start, now time.Time) map[string]any {
	nanos := func(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }
	var list []any
	for _, m := range metrics {
		var points []any
		for _, p := range m.Points {
			var attributes []any
			for _, l := range p.Labels {
				attributes = append(attributes, map[string]any{"key": l[0], "value": map[string]any{"stringValue": l[1]}})
			}
			point := map[string]any{"startTimeUnixNano": nanos(start), "timeUnixNano": nanos(now)}
			if attributes != nil {
				point["attributes"] = attributes
			}
			if m.Histogram {
				var counts []string
				for _, n := range p.Buckets {
					counts = append(counts, strconv.FormatInt(n, 10))
				}
				point["count"], point["sum"] = strconv.FormatInt(p.Value, 10), p.Sum
				point["bucketCounts"], point["explicitBounds"] = counts, prompt.Bounds()
			} else {
				point["asInt"] = strconv.FormatInt(p.Value, 10)
			}
			points = append(points, point)
		}
		if points == nil {
			continue
		}
		name := strings.TrimSuffix(strings.ReplaceAll(strings.Replace(m.Name, "sallyport_prompt_", "sallyport.prompt.", 1), "_seconds", ".duration"), "_total")
		metric := map[string]any{"name": name, "description": m.Help}
		switch {
		case m.Histogram:
			metric["unit"] = "s"
			metric["histogram"] = map[string]any{"aggregationTemporality": 2, "dataPoints": points}
		case m.Gauge:
			metric["gauge"] = map[string]any{"dataPoints": points}
		default:
			metric["sum"] = map[string]any{"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points}
		}
		list = append(list, metric)
	}
	return map[string]any{"resourceMetrics": []any{map[string]any{
		"resource": map[string]any{"attributes": []any{
			map[string]any{"key": "service.name", "value": map[string]any{"stringValue": "sallyport-proxy"}},
			map[string]any{"key": "service.version", "value": map[string]any{"stringValue": Version()}},
		}},
		"scopeMetrics": []any{map[string]any{"scope": map[string]any{"name": "sallyport/prompt"}, "metrics": list}},
	}}}
}
