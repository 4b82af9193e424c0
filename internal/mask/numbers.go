package mask

import "bytes"

// A number is digits in a text as people write them: in groups, with spaces, hyphens, dots, brackets.
type number struct {
	start, end int
	digits     [24]byte // as values
	n          int
	groups     [12]uint8 // lengths
	ng         int
	sep        byte // between groups, if it is always the same; 0 if there is none, 'x' if they differ
	plus       bool
	bracket    bool
	more       bool // it goes on
}

// numbers finds what people write in digits.
func (s *search) numbers() {
	text, p := s.text, s.e.personal
	for i := 0; i < len(text); {
		if !digit.has(text[i]) {
			i++
			continue
		}
		if i > 0 && word.has(text[i-1]) && !isEscapeBefore(text, i) {
			if p.iban && i >= 2 && letter.has(text[i-1]) && letter.has(text[i-2]) && (i == 2 || !word.has(text[i-3])) {
				if end := iban(text, i-2); end > 0 {
					s.personal(IBAN, "iban", i-2, end)
					i = end
					continue
				}
			}
			j := run(text, i, word, len(text))
			if p.id {
				s.lettered(i, j)
			}
			i = j
			continue
		}
		n := readNumber(text, i)
		end := n.end
		if p.id {
			if k := s.lettered(i, run(text, i, word, 32)); k > 0 {
				i = k
				continue
			}
		}
		if kind, rule := s.classify(&n); kind != "" {
			s.personal(kind, rule, n.start, n.end)
		} else if n.ng > 1 {
			end = n.start + int(n.groups[0]) // look at what follows the first group on its own
			end = max(end, i+1)
			if n.bracket || n.plus {
				end = i + 1
			}
			end = run(text, max(end, i), digit, 32)
		}
		i = max(end, i+1)
	}
}

// readNumber reads the number whose first digit is at i.
func readNumber(text []byte, i int) number {
	n := number{start: i}
	if i > 0 && text[i-1] == '(' {
		n.start, n.bracket = i-1, true
	}
	if n.start > 0 && text[n.start-1] == '+' {
		n.start, n.plus = n.start-1, true
	}
	j := i
	for j < len(text) {
		g := j
		for j < len(text) && digit.has(text[j]) {
			if n.n < len(n.digits) {
				n.digits[n.n] = text[j] - '0'
				n.n++
			} else {
				n.more = true
			}
			j++
		}
		n.end = j
		if n.ng < len(n.groups) {
			n.groups[n.ng] = uint8(min(j-g, 255))
			n.ng++
		} else {
			n.more = true
			break
		}
		// A separator, or two where there are brackets.
		k := j
		var sep byte
		for k < len(text) && k-j < 3 && (text[k] == ' ' || text[k] == '-' || text[k] == '.' || text[k] == '(' || text[k] == ')' || text[k] == '/') {
			if text[k] == '(' || text[k] == ')' {
				n.bracket = true
			} else {
				sep = text[k]
			}
			k++
		}
		if k == j || k >= len(text) || !digit.has(text[k]) || k-j > 1 && !n.bracket || n.n >= 20 {
			break
		}
		switch {
		case n.sep == 0:
			n.sep = sep
		case sep != 0 && n.sep != sep:
			n.sep = 'x'
		}
		j = k
	}
	return n
}

func (n *number) shaped(groups ...uint8) bool {
	if n.ng != len(groups) {
		return false
	}
	for i, g := range groups {
		if n.groups[i] != g {
			return false
		}
	}
	return true
}

// classify says what a number is, or nothing.
func (s *search) classify(n *number) (Kind, string) {
	text, p := s.text, s.e.personal
	if n.more || n.end < len(text) && (word.has(text[n.end]) || text[n.end] == '%' && n.ng == 1) {
		return "", ""
	}
	if n.start > 0 && (text[n.start-1] == '.' || text[n.start-1] == '-' || text[n.start-1] == '/') && n.start > 1 && word.has(text[n.start-2]) {
		return "", ""
	}
	d := n.digits[:n.n]
	if n.ng == 4 && n.sep == '.' && n.n <= 12 && !n.plus && !n.bracket {
		if p.ip && publicIPv4(n) && !(n.end+1 < len(text) && text[n.end] == '.' && digit.has(text[n.end+1])) {
			return IP, "ipv4"
		}
		if ipv4(n) {
			return "", ""
		}
	}
	if p.card && n.n >= 12 && n.n <= 19 && !n.plus && !n.bracket && (n.sep == 0 || n.sep == ' ' || n.sep == '-') && evenGroups(n) && luhn(d) {
		if brand(d) || context(text, n.start, "card", "visa", "mastercard", "amex", "credit", "debit", "cc ", "pan") {
			return Card, "payment-card"
		}
	}
	if p.id {
		if rule := s.nationalID(n); rule != "" {
			return NationalID, rule
		}
	}
	if p.phone && s.phone(n) {
		return Phone, "phone"
	}
	return "", ""
}

func evenGroups(n *number) bool {
	if n.ng == 1 {
		return true
	}
	for i := range n.ng {
		if n.groups[i] < 2 || n.groups[i] > 7 {
			return false
		}
	}
	return n.groups[0] == 4
}

func luhn(d []byte) bool {
	sum, zero := 0, true
	for i := range d {
		x := int(d[len(d)-1-i])
		zero = zero && x == 0
		if i%2 == 1 {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return sum%10 == 0 && !zero
}

// brand reports whether the first digits are those of a card, and the length fits.
func brand(d []byte) bool {
	two, four := int(d[0])*10+int(d[1]), int(d[0])*1000+int(d[1])*100+int(d[2])*10+int(d[3])
	switch n := len(d); {
	case d[0] == 4:
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720:
		return n == 16
	case two == 34 || two == 37:
		return n == 15
	case two == 36 || two == 38 || two == 39 || four/10 >= 300 && four/10 <= 305:
		return n == 14 || n == 16
	case four >= 3528 && four <= 3589:
		return n >= 16
	case four == 1800 || four == 2131:
		return n == 15
	case four == 6011 || two == 65 || four/10 >= 644 && four/10 <= 649 || two == 62:
		return n >= 16
	case two == 50 || two >= 56 && two <= 58 || two == 63 || two == 67 || two == 60:
		return n >= 12
	}
	return false
}

// phone reports whether a number is one that people are called at.
func (s *search) phone(n *number) bool {
	text := s.text
	if n.n < 7 || n.n > 15 || n.start >= 2 && !n.plus && !n.bracket && digit.has(text[n.start-2]) {
		return false // or it is the end of a longer number
	}
	if n.plus {
		return n.n >= 8 && n.digits[0] != 0
	}
	said := context(text, n.start, "phone", "tel", "mobile", "call", "fax", "cell", "whatsapp", "sms", "desk", "office", "dial", "contact", "telefon", "handy", "messages to", "answering", "number", "reach")
	if n.ng == 1 {
		return said && n.n >= 8 && n.n <= 12 && !(n.n == 10 && n.digits[0] == 1) && n.digits[0] != 0 || said && n.digits[0] == 0 && n.n >= 9 && n.n <= 12
	}
	if n.n > 13 || n.sep == '/' && !said {
		return false
	}
	for i := range n.ng {
		if n.groups[i] > 7 || n.groups[i] < 2 && i > 0 {
			return false
		}
	}
	if date(n) {
		return false
	}
	switch {
	case n.bracket:
		return n.n >= 8 && (said || n.shaped(3, 3, 4) || n.digits[0] == 0)
	case n.shaped(3, 3, 4) && n.sep != '/':
		return true
	case n.shaped(3, 4):
		return said
	case n.ng == 2:
		return said && n.n >= 8 || n.digits[0] == 0 && n.n >= 9 && n.n <= 12 && (n.sep == ' ' || n.sep == '-') && n.groups[0] >= 3 && said
	}
	if said {
		return n.n >= 7
	}
	// Five pairs, a trunk prefix, or an area in front: not thousands.
	return n.digits[0] == 0 && n.n >= 9 && n.sep != 'x' && n.groups[0] >= 2 && n.groups[0] <= 5
}

// date reports whether a number is a day, or a day and a time.
func date(n *number) bool {
	d := n.digits
	two := func(i int) int { return int(d[i])*10 + int(d[i+1]) }
	if n.ng < 3 {
		return false
	}
	switch {
	case n.sep == '/' && n.ng == 3 && n.groups[2] == 4 && n.groups[0] <= 2 && n.groups[1] <= 2:
		return true
	case n.groups[0] == 4 && n.groups[1] <= 2 && n.groups[2] <= 2:
		return d[0] == 1 && d[1] >= 8 || d[0] == 2 && d[1] <= 1
	case n.groups[0] == 2 && n.groups[1] == 2 && n.groups[2] == 4:
		return two(0) <= 31 && two(2) <= 31 && (d[4] == 1 || d[4] == 2)
	}
	return false
}

func ipv4(n *number) bool {
	at := 0
	for i := range 4 {
		v := 0
		for range n.groups[i] {
			v = v*10 + int(n.digits[at])
			at++
		}
		if v > 255 || n.groups[i] > 3 {
			return false
		}
	}
	return true
}

// publicIPv4 reports whether a number is an address that may be a person's: not one of loopback, private,
// multicast and documentation networks.
func publicIPv4(n *number) bool {
	if !ipv4(n) {
		return false
	}
	var v [4]int
	at := 0
	for i := range 4 {
		if n.groups[i] > 1 && n.digits[at] == 0 {
			return false
		}
		for range n.groups[i] {
			v[i] = v[i]*10 + int(n.digits[at])
			at++
		}
	}
	a, b, c := v[0], v[1], v[2]
	switch {
	case a == 0 || a == 10 || a == 127 || a >= 224, a == 169 && b == 254, a == 172 && b >= 16 && b < 32, a == 192 && b == 168,
		a == 192 && b == 0 && c == 2, a == 198 && b == 51 && c == 100, a == 203 && b == 0 && c == 113,
		a < 10 && b < 10 && c < 10: // a version
		return false
	}
	return true
}

// context reports whether one of the words, in lower case, stands shortly before i.
func context(text []byte, i int, list ...string) bool {
	from := max(0, i-48)
	var low [48]byte
	for k, b := range text[from:i] {
		low[k] = lowerByte(b)
	}
	before := low[:i-from]
	for _, w := range list {
		if k := bytes.LastIndex(before, []byte(w)); k >= 0 && (k == 0 && from == 0 || k > 0 && !letter.has(before[k-1])) {
			return true
		}
	}
	return false
}

// iban returns the end of the account number that begins at i, or 0.
func iban(text []byte, i int) int {
	var v [34]byte
	n, j := 0, i
	end := 0
	for j < len(text) && n < len(v) {
		b := text[j]
		if !alnum.has(b) {
			if b == ' ' && n >= 4 && n%4 == 0 && j+1 < len(text) && alnum.has(text[j+1]) {
				j++
				continue
			}
			break
		}
		if 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		if n < 2 && !upper.has(b) || n >= 2 && n < 4 && !digit.has(b) {
			return 0
		}
		v[n] = b
		n++
		j++
		if want := ibanLength(v[0], v[1]); n == want && (j == len(text) || !alnum.has(text[j])) {
			end = j
			break
		}
	}
	if end == 0 {
		return 0
	}
	mod := 0
	for k := range n {
		b := v[(k+4)%n]
		if digit.has(b) {
			mod = (mod*10 + int(b-'0')) % 97
		} else {
			mod = (mod*100 + int(b-'A') + 10) % 97
		}
	}
	if mod != 1 {
		return 0
	}
	return end
}

// ibanLength is the length that a country's account numbers have, from the registry of SWIFT.
func ibanLength(a, b byte) int {
	const table = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SD18SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20"
	for i := 0; i < len(table); i += 4 {
		if table[i] == a && table[i+1] == b {
			return int(table[i+2]-'0')*10 + int(table[i+3]-'0')
		}
	}
	return -1
}
