package prompt

import (
	"net/http"
	"sync"
	"time"
)

// Limits bound what a caller may ask for. Zero is no bound of that kind.
type Limits struct {
	RequestsPerMinute int
	TokensPerDay      int64 // counted from the vendor's usage; the day is UTC's
	Concurrent        int
}

// maxAccounts bounds the accounts that are held; those that have been idle for a day go first.
const maxAccounts = 100_000

// A limiter keeps the account of each caller, by principal and key.
type limiter struct {
	mu       sync.Mutex
	accounts map[string]*account
}

type account struct {
	minute  [60]int // requests by second
	second  int64   // of the newest of them
	day     int64
	tokens  int64
	running int
}

// A lease is a request that runs.
type lease struct {
	l    *limiter
	key  string
	done bool
}

func newLimiter() *limiter { return &limiter{accounts: map[string]*account{}} }

func accountOf(c *Caller) string {
	return string(c.Principal.Kind) + ":" + c.Principal.Name + "\x00" + c.Key
}

// begin counts a request, or refuses it.
func (l *limiter) begin(c *Caller, now time.Time) (*lease, *Refusal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := accountOf(c)
	a := l.accounts[key]
	if a == nil {
		if len(l.accounts) >= maxAccounts {
			l.forget(now)
		}
		a = &account{}
		l.accounts[key] = a
	}
	a.advance(now)
	if m := c.Limits.Concurrent; m > 0 && a.running >= m {
		return nil, &Refusal{Status: http.StatusTooManyRequests, Code: "limit-concurrent", Text: "as many requests as may are running", Hint: "wait for one to end", RetryAfter: time.Second}
	}
	if m := c.Limits.RequestsPerMinute; m > 0 && a.requests() >= m {
		return nil, &Refusal{Status: http.StatusTooManyRequests, Code: "limit-requests", Text: "there were as many requests in the last minute as may be", Hint: "wait", RetryAfter: a.wait(now)}
	}
	if m := c.Limits.TokensPerDay; m > 0 && a.tokens >= m {
		// Not 429: clients would try again until midnight.
		return nil, &Refusal{Status: http.StatusForbidden, Code: "limit-tokens", Text: "the tokens of the day are used up", Hint: "wait until 00:00 UTC, or ask for a larger budget"}
	}
	a.minute[now.Unix()%60]++
	a.running++
	return &lease{l: l, key: key}, nil
}

// advance forgets what is older than a minute, and yesterday's tokens.
func (a *account) advance(now time.Time) {
	s := now.Unix()
	if gap := s - a.second; gap >= 60 || gap < -60 {
		a.minute = [60]int{}
		a.second = s
	}
	for a.second < s {
		a.second++
		a.minute[a.second%60] = 0
	}
	if day := s / 86400; day != a.day {
		a.day, a.tokens = day, 0
	}
}

func (a *account) requests() (n int) {
	for _, m := range a.minute {
		n += m
	}
	return n
}

// wait is how long until the oldest of the minute's requests is a minute old.
func (a *account) wait(now time.Time) time.Duration {
	for i := range int64(60) {
		if a.minute[(now.Unix()+1+i)%60] > 0 {
			return time.Duration(i+1) * time.Second
		}
	}
	return time.Second
}

func (l *limiter) forget(now time.Time) {
	for k, a := range l.accounts {
		if a.running == 0 && now.Unix()-a.second > 86400 {
			delete(l.accounts, k)
		}
	}
}

// end gives back a lease. It may be called twice, and of nil.
func (e *lease) end(u Usage, now time.Time) {
	if e == nil || e.done {
		return
	}
	e.done = true
	e.l.mu.Lock()
	defer e.l.mu.Unlock()
	a := e.l.accounts[e.key]
	a.advance(now)
	a.running--
	a.tokens += u.Input + u.Output
}

// Count adds tokens that were used before this process began, so that a restart gives no new budget.
func (g *Gate) Count(c Caller, tokens int64, at time.Time) {
	l := g.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	key := accountOf(&c)
	a := l.accounts[key]
	if a == nil {
		a = &account{}
		l.accounts[key] = a
	}
	now := g.o.Clock()
	a.advance(now)
	if at.Unix()/86400 == a.day {
		a.tokens += tokens
	}
}

// strangers bound what is recorded of requests that do not say who they are from.
type strangers struct {
	mu         sync.Mutex
	second     int64
	n          int
	suppressed int64
}

// strangersPerSecond are recorded one by one; the record after them counts the others.
const strangersPerSecond = 20

func (s *strangers) note(now time.Time) (suppressed int64, keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sec := now.Unix(); sec != s.second {
		s.second, s.n = sec, 0
	}
	if s.n++; s.n > strangersPerSecond {
		s.suppressed++
		return 0, false
	}
	suppressed, s.suppressed = s.suppressed, 0
	return suppressed, true
}
