package oci

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options say how registries are reached. The zero Options are anonymous.
type Options struct {
	// Credentials gives what to log in with at a registry. It is asked once a registry demands a
	// login; an error keeps its text for the case that the registry refuses strangers.
	Credentials func(registry string) (Credential, error)
	// Transport carries the requests; nil is one of its own that follows the proxy settings of
	// the environment.
	Transport http.RoundTripper
	// Timeout is for one request with its answer; zero is a minute.
	Timeout time.Duration
	// Settle is the pause before an index is read back for the second time; zero is half a second.
	Settle time.Duration
}

// parallel is how many requests are under way at once.
const parallel = 8

// A session speaks to one repository. It is safe for concurrent use.
type session struct {
	opts   Options
	http   *http.Client
	ref    Reference
	origin string
	scope  string
	read   atomic.Int64 // bytes of all answers
	asked  atomic.Int64 // requests

	mu    sync.Mutex
	auth  string // the Authorization header that the registry has accepted or will be offered
	tries int    // logins so far
	note  error  // why there are no credentials
}

func newSession(ref Reference, o Options, actions string) *session {
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Settle <= 0 {
		o.Settle = 500 * time.Millisecond
	}
	if o.Transport == nil {
		o.Transport = transport()
	}
	return &session{
		opts: o, ref: ref, origin: ref.origin(), scope: "repository:" + ref.Repository + ":" + actions,
		http: &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// transport is the default one. What leaves without TLS cannot leave this machine, whatever
// localhost resolves to.
func transport() http.RoundTripper {
	local := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if a, err := netip.ParseAddrPort(address); err != nil || !a.Addr().Unmap().IsLoopback() {
			return errors.New("only the loopback interface is spoken to without TLS")
		}
		return nil
	}}
	remote := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if a, err := netip.ParseAddrPort(address); err != nil || nobodys(a.Addr()) {
			return errors.New("no registry is at a link-local address") // a name may lead there, too
		}
		return nil
	}}
	common := http.Transport{
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 20 * time.Second, MaxResponseHeaderBytes: 1 << 16,
		MaxIdleConnsPerHost: parallel, IdleConnTimeout: 30 * time.Second, DisableCompression: true, // digests are of the bytes as sent
	}
	plain, secure := common.Clone(), common.Clone()
	plain.DialContext = local.DialContext
	secure.DialContext, secure.Proxy, secure.ForceAttemptHTTP2 = remote.DialContext, http.ProxyFromEnvironment, true
	secure.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return byScheme{plain, secure}
}

type byScheme struct{ plain, secure http.RoundTripper }

func (t byScheme) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return t.secure.RoundTrip(r)
	}
	return t.plain.RoundTrip(r)
}

// CloseIdleConnections is called through the client.
func (t byScheme) CloseIdleConnections() {
	for _, rt := range []http.RoundTripper{t.plain, t.secure} {
		(&http.Client{Transport: rt}).CloseIdleConnections()
	}
}

// close ends what newSession began; a transport of the caller's is left alone.
func (s *session) close() {
	if _, ours := s.opts.Transport.(byScheme); ours {
		s.http.CloseIdleConnections()
	}
}

// A request is one question to the registry. Path is a URL, absolute or relative to the origin.
type request struct {
	method, path string
	header       http.Header
	body         []byte
	limit        int64     // of the answer
	to           io.Writer // takes the content of a good answer as it comes; nil: the answer holds it
}

// An answer is what came of a request, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
	note   error // why we asked as a stranger, if that may be the reason for a refusal
}

// A statusError is an answer that is no success.
type statusError struct {
	status int
	detail string
}

func (e statusError) Error() string {
	s := fmt.Sprintf("the registry answered %d %s", e.status, http.StatusText(e.status))
	return s + e.detail
}

func (e statusError) Is(target error) bool {
	return target == ErrUnauthorized && (e.status == http.StatusUnauthorized || e.status == http.StatusForbidden)
}

// fail is the error of an answer with an unexpected status, with what the registry says of it.
func (a answer) fail() error {
	var body struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	e := statusError{status: a.status}
	if json.Unmarshal(a.body, &body) == nil && len(body.Errors) > 0 {
		e.detail = fmt.Sprintf(": %.60q, %.200q", body.Errors[0].Code, body.Errors[0].Message)
	}
	if a.note != nil {
		return fmt.Errorf("%w; %w", e, a.note)
	}
	return e
}

// do asks the registry, logs in if it must, follows redirects of what only reads, and returns the
// answer whatever its status. Its errors are of the connection and of limits.
func (s *session) do(ctx context.Context, r request) (answer, error) {
	u, err := s.resolve(s.origin, r.path)
	if err != nil {
		return answer{}, err
	}
	for again := 0; ; {
		auth := s.authorization()
		a, err := s.follow(ctx, r, u, auth)
		if err != nil {
			return answer{}, err
		}
		if wait, ok := s.later(r, a, again); ok {
			again++
			if err := sleep(ctx, wait); err != nil {
				return answer{}, connection(err)
			}
			continue
		}
		if a.status == http.StatusUnauthorized {
			again, err := s.login(ctx, a.header, auth)
			if err != nil {
				return answer{}, err
			}
			if again {
				continue
			}
		}
		if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
			s.mu.Lock()
			a.note = s.note
			s.mu.Unlock()
		}
		return a, nil
	}
}

// later says whether and when to ask again what the registry is too busy for. Only what reads is
// asked again, and twice at most.
func (s *session) later(r request, a answer, again int) (time.Duration, bool) {
	switch a.status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return 0, false
	}
	if again >= 2 || r.method != http.MethodGet && r.method != http.MethodHead {
		return 0, false
	}
	if n, err := strconv.Atoi(a.header.Get("Retry-After")); err == nil && n >= 0 {
		return time.Duration(n) * time.Second, n <= 10
	}
	return s.opts.Settle << again, true
}

func (s *session) authorization() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.auth
}

// resolve returns the URL that path means at base. It must be at the registry itself.
func (s *session) resolve(base, path string) (*url.URL, error) {
	b, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("the registry's address is malformed: %w", err)
	}
	u, err := b.Parse(path)
	if err != nil {
		return nil, errors.New("the registry gives a malformed address")
	}
	if u.Scheme+"://"+u.Host != s.origin || u.User != nil {
		return nil, fmt.Errorf("the registry sends us to %.100q, which is not where it is, for what only it may answer", u.Scheme+"://"+u.Host)
	}
	u.Fragment = ""
	return u, nil
}

func (s *session) follow(ctx context.Context, r request, u *url.URL, auth string) (answer, error) {
	for range MaxRedirects + 1 {
		if u.Scheme+"://"+u.Host != s.origin {
			auth = "" // and it stays away should the other host send us back
		}
		a, err := s.once(ctx, r, u, auth)
		if err != nil {
			return answer{}, err
		}
		reads := r.method == http.MethodGet || r.method == http.MethodHead
		switch a.status {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return a, nil
		}
		if !reads {
			return answer{}, errors.New("the registry redirects what would write, and that is not followed")
		}
		next, err := u.Parse(a.header.Get("Location"))
		if err != nil || a.header.Get("Location") == "" {
			return answer{}, errors.New("the registry redirects to nowhere")
		}
		if err := s.mayReach(next); err != nil {
			return answer{}, fmt.Errorf("the registry redirects to %.100q: %w", next.Host, err)
		}
		u = next
	}
	return answer{}, fmt.Errorf("the registry redirects more than %d times", MaxRedirects)
}

// mayReach says whether the registry may send us to u. A registry elsewhere must not make this
// machine ask its own services, or those that a cloud offers at link-local addresses.
func (s *session) mayReach(u *url.URL) error {
	local := strings.HasPrefix(s.origin, "http://")
	if u.User != nil || u.Host == "" || !validHost(u.Host) {
		return errors.New("that is no address to follow")
	}
	a, err := netip.ParseAddr(hostOnly(u.Host))
	inside := isLoopback(u.Host) || err == nil && nobodys(a)
	switch {
	case local && isLoopback(u.Host) && (u.Scheme == "http" || u.Scheme == "https"):
		return nil
	case u.Scheme != "https":
		return errors.New("that would be without TLS")
	case inside && u.Scheme+"://"+u.Host != s.origin:
		return errors.New("that is an address of this machine")
	}
	return nil
}

// nobodys reports whether a is an address that no registry has: a cloud's services for its
// machines are at some.
func nobodys(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast()
}

// once sends one request and reads its answer, which may not be longer than the limit.
func (s *session) once(ctx context.Context, r request, u *url.URL, auth string) (answer, error) {
	if s.asked.Add(1) > MaxRequests {
		return answer{}, fmt.Errorf("it would take more than %d requests", MaxRequests)
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return answer{}, errors.New("the address is malformed")
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "sallyport")
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return answer{}, connection(err)
	}
	defer resp.Body.Close()
	limit := r.limit
	if limit <= 0 || resp.StatusCode >= 300 {
		limit = 1 << 16
	}
	if resp.ContentLength > limit && r.method != http.MethodHead && resp.StatusCode < 300 {
		return answer{}, fmt.Errorf("the answer has %d bytes, the limit is %d", resp.ContentLength, limit)
	}
	if r.to != nil && resp.StatusCode == http.StatusOK {
		n, err := io.Copy(r.to, io.LimitReader(resp.Body, limit+1))
		if err != nil {
			return answer{}, connection(err)
		}
		if n > limit {
			return answer{}, fmt.Errorf("the answer has more than %d bytes", limit)
		}
		return answer{status: resp.StatusCode, header: resp.Header}, nil
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return answer{}, connection(err)
	}
	if int64(len(b)) > limit {
		if resp.StatusCode < 300 {
			return answer{}, fmt.Errorf("the answer has more than %d bytes", limit)
		}
		b = b[:limit]
	}
	if s.read.Add(int64(len(b))) > MaxTotal {
		return answer{}, fmt.Errorf("the answers have more than %d bytes in all", MaxTotal)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: b}, nil
}

// connection drops the address from an error of net/http: a signed address of a blob store is a
// secret, and what is asked for is told anyway.
func connection(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the registry does not answer in time: %w", context.DeadlineExceeded)
	}
	return fmt.Errorf("the registry cannot be reached: %w", err)
}

func (s *session) url(kind, name string) string {
	return "/v2/" + s.ref.Repository + "/" + kind + "/" + name
}
