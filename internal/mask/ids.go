package mask

// nationalID names the country whose number for persons n is, by its check digits and its date, or "".
// Those without enough of a check are believed only if a word before them says so.
func (s *search) nationalID(n *number) string {
	if n.plus || n.bracket {
		return ""
	}
	text, d := s.text, n.digits[:n.n]
	bare := n.sep == 0
	val := func(i, k int) int {
		v := 0
		for _, x := range d[i : i+k] {
			v = v*10 + int(x)
		}
		return v
	}
	sum := func(weights ...int) int {
		t := 0
		for i, w := range weights {
			t += w * int(d[i])
		}
		return t
	}
	day := func(dd, mm int) bool { return dd >= 1 && dd <= 31 && mm >= 1 && mm <= 12 }
	said := func(words ...string) bool { return context(text, n.start, words...) }
	switch n.n {
	case 9:
		if ssn := val(0, 3) != 0 && val(0, 3) != 666 && val(3, 2) != 0 && val(5, 4) != 0; ssn {
			if n.shaped(3, 2, 4) && (n.sep == '-' || n.sep == ' ') && (d[0] != 9 || said("ssn", "social")) {
				return "us-ssn"
			}
			if bare && said("ssn", "social security") {
				return "us-ssn"
			}
		}
		if luhn(d) && (n.shaped(3, 3, 3) && n.sep == '-' || said("sin ", "social insurance")) {
			return "ca-sin"
		}
		if t := sum(9, 8, 7, 6, 5, 4, 3, 2, -1); t%11 == 0 && t != 0 && said("bsn", "burgerservice") {
			return "nl-bsn"
		}
	case 10:
		if t := sum(2, 1, 2, 1, 2, 1, 2, 1, 2, 1); t > 0 && (n.shaped(6, 4) && n.sep == '-' || n.shaped(8, 4)) && day(val(4, 2), val(2, 2)) && luhn(d) {
			return "se-personnummer"
		}
	case 11:
		if day(val(4, 2), (val(2, 2)-1)%20+1) && (sum(1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1))%10 == 0 && bare && said("pesel") {
			return "pl-pesel"
		}
		if day(val(0, 2), val(2, 2)) && (bare || n.shaped(6, 5)) && sum(3, 7, 6, 1, 8, 9, 4, 5, 2, 1)%11 == 0 && sum(5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0 {
			return "no-fodselsnummer"
		}
		if n.shaped(3, 3, 3, 2) && cpf(d) || bare && said("cpf") && cpf(d) {
			return "br-cpf"
		}
		if (97-val(0, 9)%97 == val(9, 2) || 97-(2000000000+val(0, 9))%97 == val(9, 2)) && val(2, 2) <= 12 && val(4, 2) <= 31 && (n.shaped(2, 2, 2, 3, 2) || said("rijksregister", "national register", "registre national", "nrn", "insz")) {
			return "be-national-number"
		}
		if iso7064(d) && d[0] != 0 && said("steuer", "tax id", "idnr", "tin ", "identifikationsnummer") {
			return "de-tax-id"
		}
	case 12:
		if verhoeff(d) && d[0] >= 2 && (n.shaped(4, 4, 4) && n.sep == ' ' || said("aadhaar", "aadhar", "uidai")) {
			return "in-aadhaar"
		}
	case 13:
		if d[0] == 7 && val(0, 3) == 756 && ean(d) && (n.shaped(3, 4, 4, 2) || bare) {
			return "ch-ahv"
		}
		if luhn(d) && day(val(4, 2), val(2, 2)) && bare && d[10] <= 1 && said("id ", "identity", "rsa id") {
			return "za-id"
		}
		if n.shaped(6, 7) && n.sep == '-' && day(val(4, 2), val(2, 2)) && d[6] >= 1 && d[6] <= 8 {
			return "kr-rrn"
		}
	case 15:
		if (d[0] == 1 || d[0] == 2) && val(3, 2) >= 1 && (val(3, 2) <= 12 || val(3, 2) >= 20) && 97-val(0, 13)%97 == val(13, 2) {
			return "fr-nir"
		}
	case 18:
		if bare && chinese(d, d[17]) && day(val(12, 2), val(10, 2)) && (d[6] == 1 && d[7] == 9 || d[6] == 2 && d[7] == 0) {
			return "cn-id"
		}
	}
	return ""
}

// lettered looks for numbers of persons that hold letters in the word of text[i:j], and returns its end if
// it is one. i is at a digit.
func (s *search) lettered(i, j int) int {
	text := s.text
	start := runBack(text, i, word, 4)
	w := text[start:j]
	found := func(rule string, end int) int {
		s.personal(NationalID, rule, start, end)
		return end
	}
	switch {
	case len(w) == 9 && digit.has(w[0]) && upper.has(w[8]) && allDigits(w[:8]):
		if dni(w[:8], 0) == w[8] {
			return found("es-dni", j)
		}
	case len(w) == 9 && (w[0] == 'X' || w[0] == 'Y' || w[0] == 'Z') && allDigits(w[1:8]) && upper.has(w[8]):
		if dni(w[1:8], int(w[0]-'X')) == w[8] {
			return found("es-nie", j)
		}
	case len(w) == 9 && upper.has(w[0]) && upper.has(w[1]) && allDigits(w[2:8]) && w[8] >= 'A' && w[8] <= 'D':
		switch w[0] {
		case 'D', 'F', 'I', 'Q', 'U', 'V':
			return 0
		}
		if w[1] != 'O' && w[1] != 'D' && w[1] != 'F' && w[1] != 'I' && w[1] != 'Q' && w[1] != 'U' && w[1] != 'V' {
			return found("gb-nino", j)
		}
	case len(w) == 18 && (w[17] == 'X' || w[17] == 'x') && allDigits(w[:17]):
		var d [17]byte
		for k := range d {
			d[k] = w[k] - '0'
		}
		if chinese(d[:], 10) {
			return found("cn-id", j)
		}
	case len(w) == 6 && allDigits(w) && j+5 <= len(text) && (text[j] == '-' || text[j] == '+') && allDigits(text[j+1:j+4]) && alnum.has(text[j+4]) && (j+5 == len(text) || !word.has(text[j+5])):
		v := 0
		for _, b := range w {
			v = v*10 + int(b-'0')
		}
		for _, b := range text[j+1 : j+4] {
			v = v*10 + int(b-'0')
		}
		if "0123456789ABCDEFHJKLMNPRSTUVWXY"[v%31] == text[j+4] && upper.has(text[j+4]) {
			return found("fi-hetu", j+5)
		}
	case len(w) <= 16 && start < i:
		// Italy's begins with six letters, of which runBack saw four.
		b := runBack(text, start, upper, 3)
		if c := text[b:j]; len(c) == 16 && codice(c) && (b == 0 || !word.has(text[b-1])) {
			s.personal(NationalID, "it-codice-fiscale", b, j)
			return j
		}
	}
	return 0
}

func dni(d []byte, first int) byte {
	v := first
	for _, b := range d {
		v = v*10 + int(b-'0')
	}
	return "TRWAGMYFPDXBNJZSQVHLCKE"[v%23]
}

func cpf(d []byte) bool {
	if distinctOf(d) < 2 {
		return false
	}
	for n := 9; n <= 10; n++ {
		t := 0
		for i := range n {
			t += int(d[i]) * (n + 1 - i)
		}
		if t*10%11%10 != int(d[n]) {
			return false
		}
	}
	return true
}

func ean(d []byte) bool {
	t := 0
	for i, x := range d {
		t += int(x) * (1 + 2*(i%2))
	}
	return t%10 == 0
}

func chinese(d []byte, check byte) bool {
	weights := [...]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	t := 0
	for i, w := range weights {
		t += w * int(d[i])
	}
	return (12-t%11)%11 == int(check)
}

// iso7064 is the check of ISO 7064 Mod 11, 10.
func iso7064(d []byte) bool {
	p := 10
	for _, x := range d[:len(d)-1] {
		s := (int(x) + p) % 10
		if s == 0 {
			s = 10
		}
		p = s * 2 % 11
	}
	return (11-p)%10 == int(d[len(d)-1])
}

func verhoeff(d []byte) bool {
	const mul = "0123456789123406789523401789563401289567401239567859876043216598710432765982104387659321049876543210"
	const perm = "01234567891576283094580379614289160435279453126870428657390127938064157046913258"
	c := 0
	for i := range d {
		c = int(mul[c*10+int(perm[i%8*10+int(d[len(d)-1-i])]-'0')] - '0')
	}
	return c == 0
}

// codice checks Italy's codice fiscale.
func codice(c []byte) bool {
	const shape = "AAAAAA00A00A000A"
	odd := [...]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	t := 0
	for i, b := range c {
		if shape[i] == 'A' && !upper.has(b) || shape[i] == '0' && !upper.has(b) && !digit.has(b) {
			return false
		}
		v := int(b - 'A')
		if digit.has(b) {
			v = int(b - '0')
		}
		if i == 15 {
			return t%26 == v
		}
		if i%2 == 0 {
			v = odd[v]
		}
		t += v
	}
	return false
}
