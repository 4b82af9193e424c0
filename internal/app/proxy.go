package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-dev/sallyport/internal/base/durable"
	"github.com/sallyport-dev/sallyport/internal/config"
	"github.com/sallyport-dev/sallyport/internal/gate/prompt"
	"github.com/sallyport-dev/sallyport/internal/mask"
	"github.com/sallyport-dev/sallyport/internal/model"
	"github.com/sallyport-dev/sallyport/internal/run/record"
)

// ProxyOptions say how the prompt gate is started.
type ProxyOptions struct {
	Config  string // a configuration file; empty: the one that governs the repository
	Listen  string // instead of the configuration's
	Record  string // folder of the record; empty: proxy/record in the state folder
	Name    string // of the gateway, in its record
	Started func(ProxyStarted) error
}

// ProxyStarted is told once the gate listens.
type ProxyStarted struct {
	Listening string   `json:"listening"` // as clients' base URL; unix:PATH for a socket
	Record    string   `json:"record"`
	Providers []string `json:"providers"`
	Models    string   `json:"models"` // where approvals come from
	Keys      int      `json:"keys"`
	PID       int      `json:"pid"`
	Version   string   `json:"version"`
	Advice    []string `json:"advice,omitempty"`
}

// Proxy runs the prompt gate until ctx ends, and then lets what runs end.
func (a *App) Proxy(ctx context.Context, o Options, p ProxyOptions) (err error) {
	c, models, advice, dir, err := a.proxyConfig(ctx, o, p)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(a.Stderr, nil))
	parts, err := a.proxyGate(&c.Prompt, models, log)
	if err != nil {
		return err
	}
	if p.Record != "" {
		dir = p.Record
	}
	if err := durable.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	w, err := openProxyRecord(dir, orDefault(p.Name, "proxy"), c.Repository, c.Prompt.Auditors, a.now)
	if err != nil {
		return withHint(fmt.Errorf("open the record: %w", err), "another folder can be named with --record")
	}
	defer done(&err, w.Close)
	parts.Journal, parts.LateEnds = proxyJournal{w}, true
	gate, err := prompt.New(*parts)
	if err != nil {
		return err
	}
	restoreBudgets(gate, &c.Prompt, dir, a.now(), log)
	listener, url, err := proxyListen(ctx, &c.Prompt, orDefault(p.Listen, orDefault(c.Prompt.Listen, config.DefaultPromptListen)))
	if err != nil {
		return err
	}
	started := ProxyStarted{Listening: url, Record: dir, Models: models.name, Keys: len(c.Prompt.Keys), PID: os.Getpid(), Version: Version(), Advice: advice}
	for _, v := range c.Prompt.Providers {
		started.Providers = append(started.Providers, v.Name)
	}
	if p.Started != nil {
		if err := p.Started(started); err != nil {
			_ = listener.Close()
			return err
		}
	}
	if models.follow != nil {
		go models.follow(ctx, log)
	}
	if a.Getenv("GOGC") == "" {
		// Bodies are large and short-lived, and the heap that stays is small: left to itself, Go would collect
		// every few dozen requests. What bodies may hold is bounded by the gate.
		debug.SetGCPercent(400)
	}
	stop := a.exportMetrics(ctx, gate, c.Prompt.Metrics, log)
	defer stop()
	defer gate.Wait()
	return serveProxy(ctx, gate, listener, proxyDrain(&c.Prompt), log)
}

// proxyModels is a registry and where it comes from.
type proxyModels struct {
	prompt.Registry
	name   string
	follow func(context.Context, *slog.Logger) // keeps it up to date; may be nil
}

// proxyConfig finds the configuration: the file that is named, or the one that governs the repository. What
// merely lies in the work tree an agent could have written.
func (a *App) proxyConfig(ctx context.Context, o Options, p ProxyOptions) (_ config.Config, _ proxyModels, advice []string, dir string, err error) {
	var c config.Config
	none := proxyModels{}
	if p.Config != "" {
		b, err := readLimit(p.Config, config.MaxSize)
		if err != nil {
			return c, none, nil, "", err
		}
		if c, err = config.Parse(b); err != nil {
			return c, none, nil, "", err
		}
		dir = o.StateDir
		if dir == "" && p.Record == "" {
			return c, none, nil, "", usagef("say where the record is kept: --record FOLDER or --state FOLDER")
		}
	} else {
		w, err := a.open(ctx, o)
		if err != nil {
			return c, none, nil, "", err
		}
		defer done(&err, w.Close)
		t, err := FindTip(ctx, refs{w.repo, w.differ(ctx)}, func(string) string { return "" }, TargetOptions{Ref: o.Target.Ref})
		if err != nil {
			return c, none, nil, "", w.targetHint(err, t)
		}
		w.target = t
		if err := w.governed(ctx, ""); err != nil {
			return c, none, nil, "", err
		}
		c, advice, dir = w.cfg, w.advice, w.dir
	}
	if !c.Prompt.Used() {
		return c, none, nil, "", withHint(errNoPrompt, "docs/prompt-gate.md has one to begin with")
	}
	m, err := a.proxyRegistry(ctx, o, p, &c.Prompt)
	return c, m, advice, filepath.Join(dir, "proxy", "record"), err
}

// proxyRegistry is what knows the models: the registry of the repository that governs, or that the
// configuration names, and where there is none the list in the configuration.
func (a *App) proxyRegistry(ctx context.Context, o Options, p ProxyOptions, c *config.Prompt) (proxyModels, error) {
	listed := proxyModels{Registry: listedModels{c.Models}, name: "prompt.models"}
	if p.Config != "" && c.Registry == "" {
		return listed, nil
	}
	if c.Registry != "" {
		o.Repo = c.Registry
	}
	m, err := a.newRepositoryModels(ctx, o)
	switch {
	case err != nil:
		return listed, fmt.Errorf("read the registry of models: %w", err)
	case m != nil && len(c.Models) > 0:
		return listed, withHint(fmt.Errorf("there is a registry of models, %s, and prompt.models beside it", model.Path), "leave prompt.models out: two lists would each be looked at in the wrong moment")
	case m != nil:
		return proxyModels{m, model.Path, m.follow}, nil
	case c.Registry != "":
		return listed, fmt.Errorf("prompt.registry: there is no %s in force in %s", model.Path, c.Registry)
	}
	return listed, nil
}

// proxyGate makes the gate's options of a configuration; the journal is still missing.
func (a *App) proxyGate(c *config.Prompt, models prompt.Registry, log *slog.Logger) (*prompt.Options, error) {
	auth, err := newProxyAuth(c, a.now)
	if err != nil {
		return nil, err
	}
	out := &prompt.Options{Auth: auth, Registry: models, Retries: c.Retries, Clock: a.now}
	out.Log = func(msg string, args ...any) { log.Warn(msg, args...) } //nolint:sloglint // the gate's own constant messages
	// What opens the vendors is known to be secret, should an agent have come by it.
	var known []mask.Known
	for _, v := range c.Providers {
		pv := prompt.Provider{Name: v.Name, Dialect: prompt.Dialect(v.Dialect)}
		for _, h := range v.Forward {
			pv.Headers = append(pv.Headers, http.CanonicalHeaderKey(h))
		}
		for _, r := range v.Rules {
			methods := r.Methods
			if len(methods) == 0 {
				methods = []string{http.MethodPost}
			}
			pv.Rules = append(pv.Rules, prompt.Rule{Methods: methods, Path: r.Path, NoModel: r.Model == "none", Opaque: r.Body == "opaque"})
		}
		for _, e := range v.Endpoints {
			pv.Endpoints = append(pv.Endpoints, prompt.Endpoint{URL: e, Credential: a.credentialOf(v)})
		}
		if v.Credential != "none" {
			s, err := a.secretOf(v.Credential)
			if err != nil {
				return nil, withHint(fmt.Errorf("provider %s: %w", v.Name, err), "set what prompt.providers names as its credential")
			}
			if len(s) >= mask.MinKnown {
				known = append(known, mask.Known{Name: "credential of " + v.Name, Value: s})
			}
		}
		out.Providers = append(out.Providers, pv)
	}
	if out.Masker, err = newProxyMasker(a, &c.Mask, known); err != nil {
		return nil, err
	}
	pass := func(w string) bool { return slices.Contains(c.Pass, w) }
	out.Rules = prompt.Rules{
		Images: pass("images"), Documents: pass("documents"), Audio: pass("audio"), Remote: pass("remote"),
		RemoteServers: pass("remote-servers"), Files: pass("files"), Batches: pass("batches"), Stored: pass("stored"),
	}
	for _, t := range []struct {
		to   *time.Duration
		text string
	}{{&out.HeaderTimeout, c.Timeouts.Header}, {&out.IdleTimeout, c.Timeouts.Idle}, {&out.BodyTimeout, c.Timeouts.Body}} {
		if t.text != "" {
			if *t.to, err = time.ParseDuration(t.text); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func proxyDrain(c *config.Prompt) time.Duration {
	if d, err := time.ParseDuration(c.Timeouts.Drain); err == nil && c.Timeouts.Drain != "" {
		return d
	}
	return 30 * time.Second
}

// proxyListen listens, and says under which address clients find the gate.
func proxyListen(ctx context.Context, c *config.Prompt, at string) (net.Listener, string, error) {
	var lc net.ListenConfig
	if path, ok := strings.CutPrefix(at, "unix:"); ok {
		err := removeStaleSocket(path, func() bool {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", path)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
		if err != nil {
			return nil, "", err
		}
		l, err := lc.Listen(ctx, "unix", path)
		if err != nil {
			return nil, "", err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			_ = l.Close()
			return nil, "", err
		}
		return l, at, nil
	}
	host, _, err := net.SplitHostPort(at)
	if err != nil {
		return nil, "", usagef("--listen %s: it is ADDRESS:PORT or unix:PATH", at)
	}
	ip := net.ParseIP(host)
	if c.TLS.Certificate == "" && (ip == nil || !ip.IsLoopback()) {
		return nil, "", usagef("--listen %s can be reached from other machines, and prompts and keys would cross the network in the clear: give prompt.tls", at)
	}
	l, err := lc.Listen(ctx, "tcp", at)
	if err != nil {
		return nil, "", withHint(err, "--listen names another address")
	}
	if c.TLS.Certificate == "" {
		return l, "http://" + l.Addr().String(), nil
	}
	conf, err := proxyTLS(&c.TLS)
	if err != nil {
		_ = l.Close()
		return nil, "", err
	}
	return tls.NewListener(l, conf), "https://" + l.Addr().String(), nil
}

func proxyTLS(t *config.PromptTLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
	if err != nil {
		return nil, fmt.Errorf("prompt.tls: %w", err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if t.ClientCA != "" {
		b, err := readLimit(t.ClientCA, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("prompt.tls: %w", err)
		}
		conf.ClientCAs = x509.NewCertPool()
		if !conf.ClientCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("prompt.tls: %s holds no certificate", t.ClientCA)
		}
		conf.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return conf, nil
}

// serveProxy serves until ctx ends. Then new requests are refused, and those that run have until drain.
func serveProxy(ctx context.Context, gate *prompt.Gate, l net.Listener, drain time.Duration, log *slog.Logger) error {
	srv := &http.Server{
		Handler: gate, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	gate.Drain()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		log.WarnContext(end, "requests that ran were cut off")
		_ = srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// restoreBudgets counts what the record's responses of this day have used, so that a restart gives nobody a
// new budget. It reads all of the record, and so only where there are budgets.
func restoreBudgets(gate *prompt.Gate, c *config.Prompt, dir string, now time.Time, log *slog.Logger) {
	budgets := c.Limits.TokensPerDay > 0
	for _, k := range c.Keys {
		budgets = budgets || k.Limits.TokensPerDay > 0
	}
	for _, k := range c.Certificates {
		budgets = budgets || k.Limits.TokensPerDay > 0
	}
	for _, k := range c.OIDC {
		budgets = budgets || k.Limits.TokensPerDay > 0
	}
	if !budgets {
		return
	}
	r, err := record.Open(dir)
	if err != nil {
		log.Warn("the budgets of the day begin anew, since the record could not be read", "error", err)
		return
	}
	today := now.UTC().Truncate(24 * time.Hour)
	for e, err := range r.Entries() {
		if err != nil {
			log.Warn("the budgets of the day are incomplete, since the record could not be read", "error", err)
			return
		}
		if e.Kind != record.KindResponse || e.Time.Before(today) {
			continue
		}
		var b prompt.Record
		if json.Unmarshal(e.Body, &b) == nil {
			gate.Count(prompt.Caller{Principal: b.Principal, Key: b.Key}, b.Usage.Input+b.Usage.Output, e.Time)
		}
	}
}

// A ProxyKey is a new virtual key.
type ProxyKey struct {
	Key  string `json:"key"`
	Hash string `json:"hash"`
}

// NewProxyKey makes a virtual key of 256 random bits.
func NewProxyKey() ProxyKey {
	var b [32]byte
	_, _ = rand.Read(b[:])
	k := "sallyport-" + base64.RawURLEncoding.EncodeToString(b[:])
	sum := sha256.Sum256([]byte(k))
	return ProxyKey{Key: k, Hash: "sha256:" + hex.EncodeToString(sum[:])}
}
