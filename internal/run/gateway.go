package run

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// HookPath is where the hooks of a run's agent report.
const HookPath = "/sallyport/v0/hook"

// maxHook bounds one report, in bytes.
const maxHook = 1 << 20

// gateway answers what comes from the run: reports of hooks, requests to models, and whatever else a
// program takes a proxy for, which is refused and recorded.
func (s *supervisor) gateway() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+HookPath, s.hook)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodConnect || r.URL.IsAbs():
			s.refuseProxying(w, r)
		case r.URL.Path == HookPath:
			mux.ServeHTTP(w, r)
		case s.o.Gateway != nil:
			s.o.Gateway.ServeHTTP(w, r)
		default:
			s.refuse(w, r, "there is no prompt gate in this run")
		}
	})
}

// A refusal is the entry for what the gateway did not let pass.
type refusal struct {
	Kind   string    `json:"kind"`
	Method string    `json:"method,omitempty"`
	Host   string    `json:"host,omitempty"`
	Path   string    `json:"path,omitempty"`
	Why    string    `json:"why"`
	Time   time.Time `json:"time"`
}

// refuseProxying answers a program that wants to be connected to another host.
func (s *supervisor) refuseProxying(w http.ResponseWriter, r *http.Request) {
	s.refused("network")
	entry := refusal{Kind: "network", Method: clip(r.Method), Host: clip(r.Host), Why: "no host is reached from a run but through the prompt gate", Time: s.o.Now().UTC()}
	if s.record(KindRefused, entry) != nil {
		http.Error(w, "sallyport: the record could not be written", http.StatusServiceUnavailable)
		return
	}
	http.Error(w, "sallyport: "+entry.Why+": "+entry.Host, http.StatusForbidden)
}

func (s *supervisor) refuse(w http.ResponseWriter, r *http.Request, why string) {
	s.refused("request")
	if s.record(KindRefused, refusal{Kind: "request", Method: clip(r.Method), Path: clip(r.URL.Path), Why: why, Time: s.o.Now().UTC()}) != nil {
		http.Error(w, "sallyport: the record could not be written", http.StatusServiceUnavailable)
		return
	}
	http.Error(w, "sallyport: "+why, http.StatusForbidden)
}

// clip keeps what a run chose from filling the record.
func clip(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return strings.ToValidUTF8(s, "?")
}

// A hookReport is what is kept of what a hook said: names, and a digest of the rest. What a tool was
// given may hold secrets.
type hookReport struct {
	Event    string    `json:"event"`
	Agent    string    `json:"agent,omitempty"`
	Tool     string    `json:"tool,omitempty"`
	Decision string    `json:"decision,omitempty"`
	Code     string    `json:"code,omitempty"`
	SHA256   string    `json:"sha256"`
	Time     time.Time `json:"time"`
}

// hook takes a report. Whoever shows the run's token may report; a report is a claim of the agent's side,
// and opens nothing.
func (s *supervisor) hook(w http.ResponseWriter, r *http.Request) {
	if token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); s.o.Token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(s.o.Token)) != 1 {
		http.Error(w, "sallyport: this is not the run's token", http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxHook))
	if err != nil {
		status := http.StatusBadRequest
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "sallyport: the report cannot be read", status)
		return
	}
	report, err := parseHook(body)
	if err != nil {
		http.Error(w, "sallyport: the report is no JSON object with an event", http.StatusBadRequest)
		return
	}
	report.Time = s.o.Now().UTC()
	if s.record(KindHook, report) != nil {
		http.Error(w, "sallyport: the record could not be written", http.StatusServiceUnavailable)
		return
	}
	s.heard(report)
	w.WriteHeader(http.StatusNoContent)
}

// parseHook reads a report, as `sallyport hook` writes it.
func parseHook(body []byte) (hookReport, error) {
	var in struct {
		Event struct {
			Agent string `json:"agent"`
			Kind  string `json:"kind"`
			Tool  string `json:"tool"`
		} `json:"event"`
		Decision struct {
			Verdict string `json:"verdict"`
			Reasons []struct {
				Code string `json:"code"`
			} `json:"reasons"`
		} `json:"decision"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return hookReport{}, err
	}
	if in.Event.Kind == "" {
		return hookReport{}, errors.New("the event is missing")
	}
	sum := sha256.Sum256(body)
	r := hookReport{Event: clip(in.Event.Kind), Agent: clip(in.Event.Agent), Tool: clip(in.Event.Tool), Decision: clip(in.Decision.Verdict), SHA256: hex.EncodeToString(sum[:])}
	if len(in.Decision.Reasons) > 0 {
		r.Code = clip(in.Decision.Reasons[0].Code)
	}
	return r, nil
}

func (s *supervisor) heard(r hookReport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tally.Hooks++
	if r.Decision == "deny" {
		s.tally.Denied++
	}
	if _, ok := s.tally.Tools[r.Tool]; r.Tool != "" && (ok || len(s.tally.Tools) < maxKinds) && strings.HasPrefix(strings.ToLower(r.Event), "pre") {
		s.tally.Tools[r.Tool]++
	}
}
