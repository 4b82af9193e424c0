package oci

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// A Credential is what a registry is logged in to with. The zero Credential is a stranger's.
type Credential struct {
	Username, Password string
	IdentityToken      string // given to the token service instead of a password
	RegistryToken      string // given to the registry as it is
}

const maxToken = 64 << 10

// maxLogins bounds how often one session logs in. It is what ends a quarrel with a registry that
// refuses each token it has asked for.
const maxLogins = 4

// login answers a refusal. It reports whether asking again makes sense; used is the header with
// which the registry was asked.
func (s *session) login(ctx context.Context, h http.Header, used string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.auth != used {
		return true, nil // somebody else has logged in meanwhile
	}
	if s.tries >= maxLogins {
		return false, nil
	}
	s.tries++
	var cred Credential
	if s.opts.Credentials != nil {
		var err error
		if cred, err = s.opts.Credentials(s.ref.Registry); err != nil {
			s.note = err
		}
	}
	if cred.RegistryToken != "" {
		next := "Bearer " + cred.RegistryToken
		if next == used {
			return false, nil
		}
		s.auth = next
		return true, nil
	}
	var basic bool
	for _, value := range h.Values("WWW-Authenticate") {
		for _, c := range parseChallenges(value) {
			switch c.scheme {
			case "bearer":
				token, err := s.token(ctx, c, cred)
				if err != nil {
					return false, err
				}
				s.auth = "Bearer " + token
				return true, nil
			case "basic":
				basic = true
			}
		}
	}
	if basic && cred.Username != "" {
		next := basicAuth(cred)
		if next == used {
			return false, nil
		}
		s.auth = next
		return true, nil
	}
	return false, nil
}

func basicAuth(c Credential) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
}

// token asks the token service that the registry names. The scope is ours: the registry does not
// choose for what a token of this caller is made out.
func (s *session) token(ctx context.Context, c challenge, cred Credential) (string, error) {
	realm, err := url.Parse(c.params["realm"])
	if err != nil || c.params["realm"] == "" {
		return "", errors.New("log in: the registry names no token service")
	}
	if err := s.mayReach(realm); err != nil {
		return "", fmt.Errorf("log in: the registry names the token service at %.100q: %w", realm.Host, err)
	}
	r := request{method: http.MethodGet, limit: maxToken}
	form := url.Values{"service": {c.params["service"]}, "scope": {s.scope}}
	var auth string
	if cred.IdentityToken != "" {
		form.Set("grant_type", "refresh_token")
		form.Set("refresh_token", cred.IdentityToken)
		form.Set("client_id", "sallyport")
		r.method, r.body = http.MethodPost, []byte(form.Encode())
		r.header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	} else {
		query := realm.Query()
		for k, v := range form {
			query[k] = v
		}
		realm.RawQuery = query.Encode()
		if cred.Username != "" {
			auth = basicAuth(cred)
		}
	}
	a, err := s.once(ctx, r, realm, auth) // redirects are not followed: credentials would be lost or leak
	switch {
	case err != nil:
		return "", fmt.Errorf("log in at %s: %w", realm.Host, err)
	case a.status != http.StatusOK:
		a.note = s.note
		return "", fmt.Errorf("log in at %s: %w", realm.Host, a.fail())
	}
	var answered struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
	}
	if err := strict.LaxJSON(a.body, maxToken, &answered); err != nil {
		return "", fmt.Errorf("log in at %s: its answer cannot be read: %w", realm.Host, err)
	}
	token := orElse(answered.Token, answered.AccessToken)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("log in at %s: its answer holds no token", realm.Host)
	}
	return token, nil
}

// A challenge is one way to log in that WWW-Authenticate offers.
type challenge struct {
	scheme string            // lower case
	params map[string]string // names in lower case; the first of two with the same name counts
}

// parseChallenges reads a WWW-Authenticate header (RFC 9110, section 11.6.1). What is malformed
// ends the reading; what was read before it counts.
func parseChallenges(s string) []challenge {
	const limit = 8 << 10
	if len(s) > limit {
		return nil
	}
	var out []challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		word, rest := cutToken(s)
		if word == "" {
			return out
		}
		after := strings.TrimLeft(rest, " \t")
		if len(out) == 0 || !strings.HasPrefix(after, "=") {
			out = append(out, challenge{scheme: strings.ToLower(word), params: map[string]string{}})
			s = rest
			continue
		}
		value, rest, ok := cutValue(strings.TrimLeft(after[1:], " \t"))
		if !ok {
			return out
		}
		last := out[len(out)-1].params
		if name := strings.ToLower(word); last[name] == "" {
			last[name] = value
		}
		s = rest
	}
}

func cutToken(s string) (token, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i:]
}

// cutValue reads a token or a quoted string.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutToken(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c < ' ' || c == 0x7f:
			return "", "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
