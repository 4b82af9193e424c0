package mask

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestPersonal(t *testing.T) {
	e := engine(t, Options{Personal: AllPersonal()})
	for _, row := range []struct{ name, text, want string }{
		{"an address", "ask Jane.Doe+x@corp-mail.co.uk, she knows", "personal:email Jane.Doe+x@corp-mail.co.uk"},
		{"behind an escape", `\njane@corp.example.io\n`, "personal:email jane@corp.example.io"},
		{"a robot", "noreply@corp.io git@github.com a@example.com pkg@1.2.3 x@2x.png", ""},
		{"a card", "card 4111 1111 1111 1111 ok", "personal:payment-card 4111 1111 1111 1111"},
		{"a wrong card", "card 4111 1111 1111 1112 ok", ""},
		{"an IBAN", "to DE89 3704 0044 0532 0130 00 now", "personal:iban DE89 3704 0044 0532 0130 00"},
		{"a small IBAN", "iban: gb82west12345698765432", "personal:iban gb82west12345698765432"},
		{"a wrong IBAN", "to DE88 3704 0044 0532 0130 00 now", ""},
		{"a phone", "call +49 30 901820 today", "personal:phone +49 30 901820"},
		{"a phone in America", "(212) 555-0187", "personal:phone (212) 555-0187"},
		{"a phone that is said to be one", "Phone: 78 651 450", "personal:phone 78 651 450"},
		{"thousands", "they paid 78 651 450 in all", ""},
		{"a day", "on 2026-11-26 10:00", ""},
		{"a version", "v1.2.3.4 and 10.2.3.4 and 127.0.0.1", ""},
		{"an IP", "from 86.121.97.248 at", "personal:ip 86.121.97.248"},
		{"an IPv6", "from 2a02:8109:9ac0:c61:0:1:2:3 at", "personal:ip 2a02:8109:9ac0:c61:0:1:2:3"},
		{"a scope", "std::vector<a::b> and 12:34:56", ""},
		{"us-ssn", "ssn 514-69-0360", "personal:national-id 514-69-0360"},
		{"es-dni", "DNI 12345678Z", "personal:national-id 12345678Z"},
		{"es-dni, wrong", "DNI 12345678A", ""},
		{"fr-nir", "1 84 12 76 451 089 46", "personal:national-id 1 84 12 76 451 089 46"},
		{"br-cpf", "529.982.247-25", "personal:national-id 529.982.247-25"},
		{"it", "RSSMRA85T10A562S", "personal:national-id RSSMRA85T10A562S"},
		{"fi", "131052-308T", "personal:national-id 131052-308T"},
		{"ch", "756.9217.0769.85", "personal:national-id 756.9217.0769.85"},
		{"in", "Aadhaar 2341 2341 2346", "personal:national-id 2341 2341 2346"},
		{"cn", "11010519491231002X", "personal:national-id 11010519491231002X"},
		{"a name", "Dear Krisztina Szabó, we", "personal:name Krisztina Szabó"},
		{"a street", "lives at 14 Crown Street in", "personal:address 14 Crown Street"},
	} {
		text := []byte(row.text)
		if got := strings.Join(kindsIn(text, e.Find(nil, text)), "; "); got != row.want {
			t.Errorf("%s: %q\n got %q\nwant %q", row.name, row.text, got, row.want)
		}
	}
	off := engine(t, Options{Personal: []Kind{Card}})
	if f := off.Find(nil, []byte("a.b@corp.io, +49 30 901820")); len(f) > 0 {
		t.Errorf("kinds that are off were found: %v", f)
	}
	if _, err := New(Options{Personal: []Kind{"personal:shoe-size"}}); err == nil {
		t.Error("an unknown kind was taken")
	}
}

func TestRecogniser(t *testing.T) {
	e := engine(t, Options{Recognisers: []Recogniser{
		{Kind: "personal:name", Words: []string{"Ada", "Lovelace", "Škoda"}},
		{Kind: "secret:codename", Words: []string{"bluebird"}, Fold: true},
		{Kind: "personal:customer", Patterns: []string{`\bK-[0-9]{6}\b`}},
	}})
	text := []byte("Ada Lovelace asked Škoda about BlueBird for K-123456; bluebirds and ada do not count")
	got := strings.Join(kindsIn(text, e.Find(nil, text)), "; ")
	if got != "personal:name Ada Lovelace; personal:name Škoda; secret:codename BlueBird; personal:customer K-123456" {
		t.Error(got)
	}
	for _, r := range []Recogniser{{Kind: "name"}, {Kind: "personal:a b"}, {Kind: "personal:x", Words: []string{"a"}}, {Kind: "personal:x", Patterns: []string{"("}}} {
		if _, err := New(Options{Recognisers: []Recogniser{r}}); err == nil {
			t.Errorf("%+v was taken", r)
		}
	}
}

func TestHashList(t *testing.T) {
	key := []byte("0123456789abcdef")
	secret := "Tr0ub4dor" + "&3-x"
	line, err := HashLine(key, Known{"pw", secret})
	if err != nil || strings.Contains(line, secret) {
		t.Fatal(line, err)
	}
	list, err := ReadHashList(key, []byte("# ours\n\n"+line+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	e := engine(t, Options{Hashed: list})
	for _, text := range []string{secret, "a " + secret + " b", "x=" + secret, "https://u:" + secret + "@h", `\n` + secret, base64.StdEncoding.EncodeToString([]byte("the word is " + secret + " there"))} {
		if f := e.Find(nil, []byte(text)); len(f) == 0 || f[0].Kind != "secret:known" && f[0].Kind != "secret:url-credential" {
			t.Errorf("%q: %v", text, f)
		}
	}
	other, _ := ReadHashList([]byte("another key of 16"), []byte(line))
	if f := engine(t, Options{Hashed: other}).Find(nil, []byte(secret)); len(f) > 0 {
		t.Error("found under another key")
	}
	for _, bad := range []string{"zz 9", line[:40] + " 9", strings.Replace(line, " 13 ", " 3 ", 1), line + " a b"} {
		if _, err := ReadHashList(key, []byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestSources(t *testing.T) {
	got := fmt.Sprint(FromEnviron([]string{"HOME=/home/a", "DB_PASSWORD=abcd1234x", "API_TOKEN=short", "API_TOKEN=q9w8e7r6", "SECRET_FILE=/run/secrets/a", "GPG_KEY=xx", "TERM_PROGRAM=vscode"}))
	if got != "[{DB_PASSWORD abcd1234x} {API_TOKEN q9w8e7r6}]" {
		t.Error(got)
	}
	got = fmt.Sprint(FromDotenv([]byte("# c\nexport DB_PASSWORD='a b c d'\nX=1\nTOKEN=q9w8e7r6 # note\nS3=\"kJ8vQ2mZx7Lp0Wd4RtYb\"\nbroken\nSECRET_KEY=\"a\\\"bcdef\"")))
	if got != `[{DB_PASSWORD a b c d} {TOKEN q9w8e7r6} {S3 kJ8vQ2mZx7Lp0Wd4RtYb} {SECRET_KEY a"bcdef}]` {
		t.Error(got)
	}
	if got := fmt.Sprint(FromList("l", []byte("one-value\r\n\nab\ntwo values\n"))); got != "[{l one-value} {l two values}]" {
		t.Error(got)
	}
}

func TestDocuments(t *testing.T) {
	const plan = "The merger with Northwind closes on the ninth of March. Until then nobody outside the steering group may learn the price, " +
		"which the board has set at forty-one euros per share, nor that the plant in Leuna will be closed in the second quarter of the year."
	d := NewDocuments()
	if err := d.Add("plans/merger.txt", []byte(plan)); err != nil {
		t.Fatal(err)
	}
	if err := d.Add("x", []byte("too short")); err == nil {
		t.Error("a short document was taken")
	}
	e := engine(t, Options{Documents: d})
	for name, text := range map[string]string{
		"whole": "see below\n" + plan + "\nthanks",
		"a passage, wrapped, quoted and in capitals": "> " + strings.ToUpper(strings.ReplaceAll(plan[60:230], " ", "\n> ")),
	} {
		f := e.Find(nil, []byte(text))
		if len(f) != 1 || f[0].Kind != "document:plans/merger.txt" {
			t.Errorf("%s: %v", name, f)
		}
	}
	for name, text := range map[string]string{"a sentence of it": plan[:55], "another text": strings.Repeat("Nothing of that is in here, and it goes on for a while. ", 9)} {
		if f := e.Find(nil, []byte(text)); len(f) > 0 {
			t.Errorf("%s: %v", name, f)
		}
	}
	body := bodyOf([]byte(plan))
	if f, err := e.FindJSON(nil, body); err != nil || len(f) != 1 {
		t.Errorf("in JSON: %v, %v", f, err)
	}
}
