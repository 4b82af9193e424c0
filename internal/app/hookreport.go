package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/hook"
	"github.com/sallyport-dev/sallyport/internal/run"
)

// What a run gives its hooks.
const (
	hookGatewayEnv = "SALLYPORT_GATEWAY"
	hookTokenEnv   = "SALLYPORT_TOKEN" //nolint:gosec // the variable's name
)

// A HookReport is one event of an agent and what it was answered. It is a claim: the agent's side wrote it.
type HookReport struct {
	Event    hook.Event    `json:"event"`
	Decision hook.Decision `json:"decision"`
	Time     time.Time     `json:"time"`
}

const (
	hookReportWait = 500 * time.Millisecond
	maxHookJournal = 32 << 20
)

// reportHook tells the supervisor of a run, or else the repository's own journal. A report that fails changes no
// decision: what policy shuts stays shut, and a heartbeat that is missing is found at merge.
func (a *App) reportHook(ctx context.Context, r HookReport) {
	b, err := sallyport.EncodeJSON(r)
	if err != nil {
		return
	}
	if gateway := a.Getenv(hookGatewayEnv); gateway != "" {
		if err := postHook(ctx, gateway, a.Getenv(hookTokenEnv), b); err != nil {
			fmt.Fprintf(a.Stderr, "sallyport: note: the run's supervisor was not told: %s\n", err)
		}
		return
	}
	if dir := gitDirOf(repositoryAbove(hookDir(r.Event.Dir))); dir != "" {
		_ = keepHook(filepath.Join(dir, "sallyport"), b)
	}
}

// postHook sends a report to the supervisor, which is on this machine or nowhere.
func postHook(ctx context.Context, gateway, token string, report []byte) error {
	u, err := url.Parse(gateway)
	if err != nil {
		return errors.New("its address cannot be read")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "http" || ip == nil || !ip.IsLoopback() {
		return errors.New("its address is not one of this machine")
	}
	ctx, stop := context.WithTimeout(ctx, hookReportWait)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath(run.HookPath).String(), bytes.NewReader(report))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{Proxy: nil}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", res.Status)
	}
	return nil
}

// keepHook appends a line to the journal, and begins a new one when it is full.
func keepHook(state string, report []byte) error {
	path := filepath.Join(state, "hooks.jsonl")
	if info, err := os.Lstat(path); err == nil && (info.Size() > maxHookJournal || !info.Mode().IsRegular()) {
		if err := os.Rename(path, path+".1"); err != nil {
			return err
		}
	}
	if err := os.Mkdir(state, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.TrimSpace(report), '\n')) // one write, so that two hooks do not mix
	return errors.Join(err, f.Close())
}
