package mask

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"

	"github.com/sallyport-dev/sallyport"
)

// The kinds of personal data that are known. Names and addresses are found where their form or what
// stands before them says so; word lists and patterns of a configuration add to them ([Recogniser]).
const (
	Email      Kind = "personal:email"
	Phone      Kind = "personal:phone"
	Card       Kind = "personal:payment-card"
	IBAN       Kind = "personal:iban"
	NationalID Kind = "personal:national-id"
	IP         Kind = "personal:ip"
	Name       Kind = "personal:name"
	Address    Kind = "personal:address"
)

// AllPersonal returns all kinds of personal data.
func AllPersonal() []Kind {
	return []Kind{Email, Phone, Card, IBAN, NationalID, IP, Name, Address}
}

type personal struct {
	email, phone, card, iban, id, ip, name, address bool
	recognisers                                     []*recogniser
}

func newPersonal(kinds []Kind, rs []Recogniser) (*personal, error) {
	if len(kinds) == 0 && len(rs) == 0 {
		return nil, nil
	}
	for _, k := range kinds {
		if !slices.Contains(AllPersonal(), k) {
			return nil, fmt.Errorf("%q is no kind of personal data; they are %v", k, AllPersonal())
		}
	}
	on := func(k Kind) bool { return slices.Contains(kinds, k) }
	p := &personal{email: on(Email), phone: on(Phone), card: on(Card), iban: on(IBAN), id: on(NationalID), ip: on(IP), name: on(Name), address: on(Address)}
	for _, r := range rs {
		c, err := compile(r)
		if err != nil {
			return nil, err
		}
		p.recognisers = append(p.recognisers, c)
	}
	if p.name {
		p.recognisers = append(p.recognisers, titles())
	}
	if p.address {
		p.recognisers = append(p.recognisers, streets())
	}
	return p, nil
}

// personalData looks for personal data in the text.
func (s *search) personalData() {
	p := s.e.personal
	if p.email {
		s.emails()
	}
	if p.phone || p.card || p.iban || p.id || p.ip {
		s.numbers()
	}
	if p.ip {
		s.ipv6()
	}
	for _, r := range p.recognisers {
		r.find(s)
	}
}

func (s *search) personal(kind Kind, rule string, start, end int) {
	s.add(kind, rule, start, end, sallyport.Medium, byForm)
}

// emails finds addresses of persons: not those of robots, examples and repositories.
func (s *search) emails() {
	text := s.text
	for at := 0; ; at++ {
		i := bytes.IndexByte(text[at:], '@')
		if i < 0 {
			return
		}
		at += i
		start := at
		for start > 0 && at-start < 64 && (dotted.has(text[start-1]) || text[start-1] == '+' || text[start-1] == '%' || text[start-1] >= 0x80) {
			start--
		}
		for start < at && (text[start] == '.' || text[start] == '-' || text[start] == '%') {
			start++
		}
		if start < at && start > 0 && isEscapeBefore(text, start+1) && text[start-1] == '\\' {
			start++
		}
		stop, dot := at+1, -1
		for stop < len(text) && stop-at < 254 && (dotted.has(text[stop]) && text[stop] != '_' || text[stop] >= 0x80) {
			if text[stop] == '.' {
				dot = stop
			}
			stop++
		}
		for stop > at && (text[stop-1] == '.' || text[stop-1] == '-') {
			stop--
			if dot >= stop {
				dot = at + 1 + bytes.LastIndexByte(text[at+1:stop], '.')
				if dot <= at {
					dot = -1
				}
			}
		}
		if start == at || dot < 0 || stop-dot < 3 || allDigits(text[dot+1:stop]) {
			continue
		}
		name, domain := text[start:at], text[at+1:stop]
		if !letter.has(text[dot+1]) && text[dot+1] < 0x80 || robot(name) || nobody(domain) {
			continue
		}
		s.personal(Email, "email", start, stop)
		at = stop - 1
	}
}

// robot reports whether no person answers under the name.
func robot(name []byte) bool {
	for _, r := range []string{"noreply", "no-reply", "donotreply", "git", "nobody", "root", "postmaster", "mailer-daemon", "hg", "user", "username", "you", "your", "someone", "name", "email", "foo", "bar", "test"} {
		if len(name) == len(r) && hasFold(name, 0, r) {
			return true
		}
	}
	return false
}

// nobody reports whether a domain is one of examples, or the end of a file's name.
func nobody(domain []byte) bool {
	for _, d := range []string{"example.com", "example.org", "example.net", ".example", ".test", ".invalid", ".localhost", ".local", "users.noreply.github.com", "email.com", "domain.com", "company.com", "acme.com", "test.com", "foo.com",
		".js", ".ts", ".py", ".go", ".png", ".jpg", ".svg", ".css", ".json", ".md", ".rb", ".rs", ".java", ".html", ".service", ".target", ".timer"} {
		if n := len(domain) - len(d); n >= 0 && hasFold(domain, n, d) && (d[0] == '.' || n == 0 || domain[n-1] == '.') {
			return true
		}
	}
	return false
}

// ipv6 finds addresses of the newer kind that are somebody's.
func (s *search) ipv6() {
	text := s.text
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], ':')
		if i < 0 {
			return
		}
		at += i
		start, stop := runBack(text, at, hexAny, 4), at
		colons, digits := 0, 0
		for stop < len(text) && stop-start < 46 && (text[stop] == ':' || hexAny.has(text[stop])) {
			if text[stop] == ':' {
				colons++
			} else if digit.has(text[stop]) {
				digits++
			}
			stop++
		}
		end := stop
		for stop > start && text[stop-1] == ':' && !(stop > start+1 && text[stop-2] == ':') {
			stop--
		}
		if colons >= 3 && digits >= 2 && stop-start >= 8 && startsHere(text, start) && (start == 0 || text[start-1] != ':') && (end == len(text) || !word.has(text[end])) && stop-start <= 39 {
			if a, err := netip.ParseAddr(string(text[start:stop])); err == nil && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !a.IsPrivate() && !a.IsMulticast() && !bytes.HasPrefix(bytes.ToLower(text[start:stop]), []byte("2001:db8")) {
				s.personal(IP, "ipv6", start, stop)
			}
		}
		at = max(end, at+1)
	}
}
