package prompt

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bounds are the upper bounds of the histograms, in seconds.
var bounds = [...]float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}

// A histogram counts durations.
type histogram struct {
	counts [len(bounds) + 1]atomic.Int64
	sum    atomic.Int64 // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	s := d.Seconds()
	i, _ := slices.BinarySearch(bounds[:], s)
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// metrics are the gate's numbers. No label holds what a client can choose: a principal's name or a model's
// would let it make as many series as it likes.
type metrics struct {
	inFlight      atomic.Int64
	retries       atomic.Int64
	failovers     atomic.Int64
	journalFailed atomic.Int64
	journal       histogram // until a record is durable
	firstByte     histogram // from the request's arrival to the head of the vendor's answer
	took          histogram

	mu       sync.Mutex
	requests map[[3]string]int64 // dialect, operation, outcome
	refusals map[string]int64
	failures map[string]int64
	masked   map[string]int64
	tokens   map[[2]string]int64 // provider, direction
}

func newMetrics() *metrics {
	return &metrics{requests: map[[3]string]int64{}, refusals: map[string]int64{}, failures: map[string]int64{}, masked: map[string]int64{}, tokens: map[[2]string]int64{}}
}

// maxSeries bounds each map, whatever a registry or a masker comes up with.
const maxSeries = 1000

func count[K comparable](m *metrics, to map[K]int64, k K, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := to[k]; ok || len(to) < maxSeries {
		to[k] += n
	}
}

func (m *metrics) refused(code string)        { count(m, m.refusals, code, 1) }
func (m *metrics) upstreamFailed(code string) { count(m, m.failures, code, 1) }
func (m *metrics) mask(kind string, n int)    { count(m, m.masked, kind, int64(n)) }

func (m *metrics) ended(rt *route, r *Record) {
	count(m, m.requests, [3]string{string(rt.dialect), rt.op.name, string(r.Outcome)}, 1)
	count(m, m.tokens, [2]string{rt.provider.Name, "input"}, r.Usage.Input)
	count(m, m.tokens, [2]string{rt.provider.Name, "output"}, r.Usage.Output)
	if r.FirstByte > 0 {
		m.firstByte.observe(time.Duration(r.FirstByte) * time.Microsecond)
	}
	m.took.observe(time.Duration(r.Took) * time.Microsecond)
}

// A Metric is one number of the gate, for exporters.
type Metric struct {
	Name, Help string
	Gauge      bool
	Histogram  bool
	Points     []Point
}

// A Point is one series of a metric.
type Point struct {
	Labels  [][2]string
	Value   int64
	Buckets []int64 // of a histogram: counts up to each bound and beyond
	Sum     float64
}

// Bounds are the upper bounds of histograms' buckets, in seconds.
func Bounds() []float64 { return bounds[:] }

// Metrics returns the numbers of this moment, in a stable order.
func (g *Gate) Metrics() []Metric {
	m := g.metrics
	one := func(n int64) []Point { return []Point{{Value: n}} }
	hist := func(h *histogram) []Point {
		p := Point{Sum: time.Duration(h.sum.Load()).Seconds()}
		for i := range h.counts {
			n := h.counts[i].Load()
			p.Buckets = append(p.Buckets, n)
			p.Value += n
		}
		return []Point{p}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return []Metric{
		{Name: "sallyport_prompt_in_flight", Help: "Requests that run.", Gauge: true, Points: one(m.inFlight.Load())},
		{Name: "sallyport_prompt_buffered_bytes", Help: "Bytes of bodies that are held.", Gauge: true, Points: one(g.buffered.Load())},
		{Name: "sallyport_prompt_requests_total", Help: "Requests that were forwarded, by how they ended.", Points: triples(m.requests)},
		{Name: "sallyport_prompt_refusals_total", Help: "Requests that were refused, by reason code.", Points: singles("code", m.refusals)},
		{Name: "sallyport_prompt_upstream_failures_total", Help: "Answers that failed, by code.", Points: singles("code", m.failures)},
		{Name: "sallyport_prompt_masked_total", Help: "Values that were replaced, by kind.", Points: singles("kind", m.masked)},
		{Name: "sallyport_prompt_tokens_total", Help: "Tokens, as the vendors count them.", Points: pairs(m.tokens)},
		{Name: "sallyport_prompt_retries_total", Help: "Attempts after the first at the same endpoint.", Points: one(m.retries.Load())},
		{Name: "sallyport_prompt_failovers_total", Help: "Requests that went on to a further endpoint.", Points: one(m.failovers.Load())},
		{Name: "sallyport_prompt_record_failures_total", Help: "Records that could not be written.", Points: one(m.journalFailed.Load())},
		{Name: "sallyport_prompt_record_seconds", Help: "Until a record is durable.", Histogram: true, Points: hist(&m.journal)},
		{Name: "sallyport_prompt_first_byte_seconds", Help: "Until the vendor's answer begins.", Histogram: true, Points: hist(&m.firstByte)},
		{Name: "sallyport_prompt_answer_seconds", Help: "Until an answer ends.", Histogram: true, Points: hist(&m.took)},
	}
}

func singles(label string, m map[string]int64) (out []Point) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, Point{Labels: [][2]string{{label, k}}, Value: m[k]})
	}
	return out
}

func pairs(m map[[2]string]int64) (out []Point) {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, k := range keys {
		out = append(out, Point{Labels: [][2]string{{"provider", k[0]}, {"direction", k[1]}}, Value: m[k]})
	}
	return out
}

func triples(m map[[3]string]int64) (out []Point) {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b [3]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2]))
	})
	for _, k := range keys {
		out = append(out, Point{Labels: [][2]string{{"dialect", k[0]}, {"operation", k[1]}, {"outcome", k[2]}}, Value: m[k]})
	}
	return out
}

// WriteMetrics writes the numbers in Prometheus' text exposition format 0.0.4.
func (g *Gate) WriteMetrics(w io.Writer) {
	for _, m := range g.Metrics() {
		kind := "counter"
		if m.Gauge {
			kind = "gauge"
		}
		if m.Histogram {
			kind = "histogram"
		}
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", m.Name, m.Help, m.Name, kind)
		for _, p := range m.Points {
			if !m.Histogram {
				fmt.Fprintf(w, "%s%s %d\n", m.Name, labels(p.Labels), p.Value)
				continue
			}
			n := int64(0)
			for i, b := range bounds {
				n += p.Buckets[i]
				fmt.Fprintf(w, "%s_bucket{le=\"%g\"} %d\n", m.Name, b, n)
			}
			fmt.Fprintf(w, "%s_bucket{le=\"+Inf\"} %d\n%s_sum %g\n%s_count %d\n", m.Name, p.Value, m.Name, p.Sum, m.Name, p.Value)
		}
	}
}

func labels(l [][2]string) string {
	if len(l) == 0 {
		return ""
	}
	var b strings.Builder
	for i, kv := range l {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		fmt.Fprintf(&b, "%s%s=\"%s\"", sep, kv[0], strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(kv[1]))
	}
	return b.String() + "}"
}
