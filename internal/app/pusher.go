package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
	"github.com/sallyport-dev/sallyport/internal/base/sshsig"
	"github.com/sallyport-dev/sallyport/internal/render"
)

// ErrPusher says that who pushed was to be authenticated and cannot be: nothing is accepted, since
// the server's own configuration says that it would be known.
var ErrPusher = errors.New("who pushed cannot be authenticated")

// A PusherSource is one way in which a server's hook learns who pushed. It is the hook's
// configuration; what a pusher sends has no part in it.
type PusherSource struct {
	// Env names the variable in which whatever authenticated the pusher left their login, and
	// Forge says whose logins these are: a key of logins in the roster.
	Env, Forge string
	// Cert is for signed pushes (git push --signed).
	Cert bool
}

// forges are the variables that servers are known to set, and how rosters call their logins.
var forges = map[string]string{
	"GL_USER": "gitolite", "GL_USERNAME": "gitlab", "GITEA_PUSHER_NAME": "gitea",
}

// ParsePusherSource reads env:NAME, env:NAME=FORGE or cert. It refuses variables in which a pusher
// can put what they like.
func ParsePusherSource(s string) (PusherSource, error) {
	if s == "cert" {
		return PusherSource{Cert: true}, nil
	}
	rest, ok := strings.CutPrefix(s, "env:")
	if !ok {
		return PusherSource{}, fmt.Errorf("%q is neither env:NAME, env:NAME=FORGE nor cert", s)
	}
	name, forge, _ := strings.Cut(rest, "=")
	valid := name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	})
	if !valid {
		return PusherSource{}, fmt.Errorf("%q is no name of a variable", name)
	}
	// Git hands push options and certificates to hooks in variables of these names, sshd and its
	// clients pass on the locale, the terminal and the command, and what identifies the account
	// that the server runs under is the same for everybody.
	for _, prefix := range []string{"GIT_", "LC_", "SSH_"} {
		if strings.HasPrefix(name, prefix) {
			return PusherSource{}, fmt.Errorf("%s* holds what the pusher sends, or nobody's login", prefix)
		}
	}
	if slices.Contains([]string{"LANG", "LANGUAGE", "TERM", "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD"}, name) {
		return PusherSource{}, fmt.Errorf("%s holds what the pusher sends, or the account that the server runs under", name)
	}
	if forge == "" {
		forge = forges[name]
	}
	if forge == "" {
		return PusherSource{}, fmt.Errorf("whose logins %s holds is not known: env:%s=FORGE, where FORGE is a key of logins in %s", name, name, rosterPath)
	}
	return PusherSource{Env: name, Forge: forge}, nil
}

// pushing is what a hook knows about a push.
type pushing struct {
	sources []PusherSource
	all     []push
}

// who returns the person who pushed, by the roster in force, and what a person should know about
// it. The name is empty where nobody is authenticated: no source is configured, the push is not
// signed and need not be, or the login or key is no person's. Two approvals are needed then. What
// is there and does not verify, and a login that should be there and is not, is an error.
func (w *workspace) who(ctx context.Context) (person, note string, err error) {
	for _, s := range w.pushing.sources {
		var id, why string
		if s.Cert {
			id, why, err = w.byCertificate(ctx)
		} else {
			id, why, err = w.byLogin(s)
		}
		switch {
		case err != nil:
			return "", "", fmt.Errorf("%w: %w", ErrPusher, err)
		case id == "":
			note = orDefault(note, why)
		case person != "" && person != id:
			return "", "", fmt.Errorf("%w: the login is %s's and the push is signed by %s", ErrPusher, person, id)
		default:
			person = id
		}
	}
	if person != "" {
		note = ""
	}
	return person, note, nil
}

// maxLogin bounds a login.
const maxLogin = 256

func (w *workspace) byLogin(s PusherSource) (person, note string, err error) {
	login := w.app.Getenv(s.Env)
	bad := login == "" || len(login) > maxLogin || !utf8.ValidString(login) ||
		strings.ContainsFunc(login, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	if bad {
		return "", "", withHint(fmt.Errorf("%s does not hold a login", s.Env), "whatever authenticates pushers on this server has to set it before git runs the hook; see docs/merge-gate.md")
	}
	p, ok := w.roster.PersonByLogin(s.Forge, login)
	if !ok {
		return "", fmt.Sprintf("%s is no login at %s of exactly one person in the roster: nobody is authenticated as the pusher", render.Clean(login), s.Forge), nil
	}
	return p.ID, "", nil
}

// byCertificate verifies the push certificate that git left for the hook, by the roster's keys.
func (w *workspace) byCertificate(ctx context.Context) (person, note string, err error) {
	oid := w.app.Getenv("GIT_PUSH_CERT")
	if isZeroID(oid) { // empty too
		return "", "the push is not signed: nobody is authenticated as the pusher", nil
	}
	raw, err := w.repo.Blob(ctx, oid, git.MaxPushCert)
	if err != nil {
		return "", "", fmt.Errorf("read the push certificate: %w", err)
	}
	cert, err := git.ParsePushCert(raw)
	if err != nil {
		return "", "", err
	}
	// Git compares the nonce with its own and says OK for one of this very session or, where
	// receive.certNonceSlop allows it, of a session shortly before. Without it an old certificate
	// could be shown again.
	if status := w.app.Getenv("GIT_PUSH_CERT_NONCE_STATUS"); status != "OK" {
		return "", "", withHint(fmt.Errorf("the push certificate's nonce is %q, not OK", status), "is receive.certNonceSeed set on the server, and receive.certNonceSlop where pushes come over HTTP?")
	}
	if nonce := w.app.Getenv("GIT_PUSH_CERT_NONCE"); cert.Nonce == "" || cert.Nonce != nonce {
		return "", "", errors.New("the push certificate holds another nonce than the server asked for")
	}
	for _, p := range w.pushing.all {
		if !cert.Covers(git.PushedRef{Old: p.before, New: p.after, Ref: p.ref}) {
			return "", "", fmt.Errorf("the push certificate does not cover the update of %s", sallyport.Path(p.ref))
		}
	}
	if !strings.HasPrefix(string(cert.Signature), "-----BEGIN SSH SIGNATURE-----") {
		return "", "the push is not signed with an SSH key: nobody is authenticated as the pusher", nil
	}
	info, err := sshsig.Verify(cert.Signature, cert.Payload, "git")
	if err != nil {
		return "", "", fmt.Errorf("the push certificate: %w", err)
	}
	p, k, ok := w.roster.PersonByKey(info.Fingerprint)
	if !ok || k.Expired(w.app.now()) {
		return "", fmt.Sprintf("the push is signed by %s, which is no key of a person in the roster that is still valid: nobody is authenticated as the pusher", info.Fingerprint), nil
	}
	return p.ID, "", nil
}
