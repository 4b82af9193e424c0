package identity

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	sallyport "github.com/sallyport-dev/sallyport"
)

// Rules of the findings that this package makes.
const (
	ruleForgedIdentity = "forged-identity"    // an address that attackers are known to use
	ruleForgedID       = "forged-bot-id"      // a bot's or agent's login with somebody else's number
	ruleLookalike      = "lookalike-address"  // an agent's name with an address close to its own
	ruleHomoglyph      = "homoglyph-identity" // a name or address spelt with look-alike letters
	ruleHidden         = "hidden-identity"    // bidirectional controls in a name or address
	ruleBadSignature   = "bad-signature"      // a commit signature that does not verify
)

// A shape is a forged look of a name and address. That a person is called Claude, Devin or
// Jules is none; what counts is how the address is made.
type shape struct {
	rule     string
	severity sallyport.Severity
	what     string // the name and address, safe to print
	why      string
}

// shapes returns what is forged about a name and a folded address.
func (t *table) shapes(r *Roster, name, email, text string) []shape {
	var out []shape
	add := func(rule, why string) { out = append(out, shape{rule, sallyport.High, text, why}) }
	if why := t.forgedGitHub(name, email); why != "" {
		add(ruleForgedID, why)
	} else if why := t.lookalike(name, email); why != "" {
		add(ruleLookalike, why)
	}
	if strings.ContainsFunc(name+email, isBidi) {
		add(ruleHidden, "bidirectional controls, so that it is not shown as it is compared")
	}
	if like := t.homoglyph(r, name, email); like != "" {
		// Here what is printable deceives, too.
		text = strconv.QuoteToASCII(clip(name + " <" + email + ">"))
		add(ruleHomoglyph, "letters that look like those of "+like)
	}
	return out
}

// forgedGitHub looks at the number in an address that GitHub is said to have issued. Only known
// logins are judged, and by the login: the number 41898282 of github-actions[bot] is rightly
// used beside claude[bot].
func (t *table) forgedGitHub(name, email string) string {
	id, login, ok := githubNoreply(email)
	if !ok || id == "" {
		return ""
	}
	if ids := t.ids[login]; ids != nil {
		if slices.Contains(ids, id) {
			return ""
		}
		return "a number that GitHub has not given to " + login + " (" + strings.Join(ids, ", ") + ")"
	}
	if slices.Contains(t.ids[login+"[bot]"], id) {
		return "the number of " + login + "[bot] with the address of a user"
	}
	return ""
}

// lookalike looks for an address that is close to one of an agent's.
func (t *table) lookalike(name, email string) string {
	local, domain, ok := strings.Cut(email, "@")
	if !ok || local == "" || t.known[email] {
		return ""
	}
	if domain == noreplyGitHub {
		// Without a number it is no address that GitHub issues to an app.
		if _, named := wordAgent(name); named && t.agents[local] {
			return "no number in it, which every address of " + local + " has"
		}
		return ""
	}
	if own := local + "@" + noreplyGitHub; t.known[own] {
		return "the local part of " + own + " at another domain"
	}
	if _, named := wordAgent(name); !named {
		return ""
	}
	for d, locals := range t.domains {
		if slices.Contains(locals, local) && closeDomain(domain, d) {
			return "a domain that is not " + d + " and looks like it"
		}
	}
	return ""
}

// closeDomain reports whether domain could be taken for vendor. A domain below vendor's is
// vendor's own.
func closeDomain(domain, vendor string) bool {
	if domain == vendor || strings.HasSuffix(domain, "."+vendor) {
		return false
	}
	label, _, _ := strings.Cut(vendor, ".")
	return strings.HasPrefix(domain, vendor+".") || // anthropic.com.example.net
		strings.HasPrefix(domain, label+".") || // anthropic.co
		strings.HasPrefix(domain, label+"-") || // anthropic-mail.com
		strings.HasSuffix(domain, "-"+vendor) || // mail-anthropic.com
		oneEdit(domain, vendor) // anthr0pic.com, antropic.com, anthorpic.com
}

// oneEdit reports whether a becomes b when one byte is added, dropped or replaced, or two
// neighbours are swapped.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	if a[i+1:] == b[i+1:] {
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// homoglyph returns what a name or an address looks like and is not: an agent's name or login,
// an agent's address, or the address of somebody in the roster.
func (t *table) homoglyph(r *Roster, name, email string) string {
	if s := skeleton(email); s != email {
		// Digits for letters deceive in a vendor's address; two colleagues may differ by one.
		if t.known[s] || (r != nil && !isASCII(email) && r.emailOf[s].id != "") {
			return s
		}
	}
	folded := fold(name)
	if s := skeleton(folded); s != folded && t.ids[s] != nil {
		return s
	}
	word, _, _ := strings.Cut(folded, " ")
	if s := skeleton(word); s != word && len(s) >= 5 && words[s] != "" {
		return s
	}
	return ""
}

// lookalikes maps letters of other scripts, lower case, to the Latin ones that they are drawn
// like. Accented Latin letters are not among them, nor is the dotless i: they are letters of
// people's names.
var lookalikes = func() map[rune]rune {
	m := map[rune]rune{}
	for _, pair := range []string{
		"аa", "еe", "оo", "рp", "сc", "уy", "хx", "іi", "јj", "ѕs", "ԁd", "ԛq", "ԝw", "һh", "ӏl",
		"кk", "мm", "тt", "ьb", "зe", "пn", "иu", "гr", "вb", "нh", // Cyrillic
		"αa", "εe", "ιi", "κk", "νv", "οo", "ρp", "τt", "υu", "χx", "ηn", "γy", "ωw", "ϲc", "ϳj", // Greek
		"օo", "սu", "ոn", "ցg", "հh", "լl", "քp", // Armenian
		"ɑa", "ɡg", "ᴄc", "ᴅd", "ᴇe", "ᴀa", "ᴜu", "ʟl", "ᴏo", "ᴘp", "ʀr", "ꜱs", "ᴛt", "ᴠv", "ɩi", "ǀl", // Latin
		"0o", "1l", "|l",
	} {
		r, n := utf8.DecodeRuneInString(pair)
		m[r] = rune(pair[n])
	}
	return m
}()

// skeleton returns folded text as it looks: look-alike letters replaced, what is invisible
// dropped.
func skeleton(s string) string {
	return strings.Map(func(r rune) rune {
		if isHidden(r) {
			return -1
		}
		if l, ok := lookalikes[r]; ok {
			return l
		}
		switch {
		case r >= 0xff01 && r <= 0xff5e: // full width
			return unicode.ToLower(r - 0xff01 + '!')
		case r >= 0x1d400 && r <= 0x1d6a3: // mathematical alphabets, 52 letters each
			return 'a' + (r-0x1d400)%26
		case r >= 0x24d0 && r <= 0x24e9: // circled
			return r - 0x24d0 + 'a'
		}
		return r
	}, s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isBidi reports whether r is a control of the bidirectional algorithm.
func isBidi(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// isHidden reports whether r leaves no mark on a page.
func isHidden(r rune) bool {
	return isBidi(r) || r >= 0x200b && r <= 0x200f || r >= 0x2060 && r <= 0x2064 || r == 0xfeff ||
		r == 0xad || r == 0x034f || r == 0x061c || r == 0x180e ||
		r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0000 && r <= 0xe01ef
}
