package shell

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

var unknown = Word{Text: "?", Dynamic: true}

// word takes the quotes from a word and puts in what variables are known to hold.
func (r *reader) word(w *syntax.Word) Word {
	if w == nil {
		return Word{}
	}
	return r.parts(w.Parts, false)
}

func (r *reader) parts(parts []syntax.WordPart, quoted bool) Word {
	var b strings.Builder
	dynamic := false
	add := func(w Word) {
		b.WriteString(w.Text)
		dynamic = dynamic || w.Dynamic
	}
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			add(Word{Text: unescape(p.Value, quoted)})
		case *syntax.SglQuoted:
			if p.Dollar {
				add(ansiC(p.Value))
			} else {
				add(Word{Text: p.Value})
			}
		case *syntax.DblQuoted:
			add(r.parts(p.Parts, true))
		case *syntax.ParamExp:
			add(r.param(p))
		case *syntax.ExtGlob:
			add(Word{Text: "*"})
		default: // $(…), $((…)), <(…), {a,b} that was not split
			add(unknown)
		}
	}
	return Word{b.String(), dynamic}
}

// param is the value of a plain $name that the line itself has set, and of ${name:-constant}.
func (r *reader) param(p *syntax.ParamExp) Word {
	if p.Param == nil || p.Excl || p.Length || p.Width || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Names != 0 {
		return unknown
	}
	if p.Param.Value == "HOME" && p.Exp == nil {
		return Word{Text: "~"}
	}
	if p.Param.Value == "IFS" && p.Exp == nil {
		return Word{Text: " "}
	}
	v, set := r.vars[p.Param.Value]
	if p.Exp != nil {
		return unknown
	}
	if !set {
		return unknown
	}
	return v
}

// unescape takes backslashes away.
func unescape(s string, quoted bool) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		next := s[i+1]
		switch {
		case next == '\n':
			i++
		case !quoted || strings.IndexByte("$`\"\\", next) >= 0:
			b.WriteByte(next)
			i++
		default:
			b.WriteByte('\\')
		}
	}
	return b.String()
}

var digits = map[int]string{8: "01234567", 16: "0123456789abcdefABCDEF"}

// ansiC reads the inside of $'…'.
func ansiC(s string) Word {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		number := func(from, most, base int) {
			end := from
			for end < len(s) && end-from < most && strings.IndexByte(digits[base], s[end]) >= 0 {
				end++
			}
			n, err := strconv.ParseUint(s[from:end], base, 32)
			if err != nil {
				b.WriteByte('?')
				return
			}
			if most > 3 {
				b.WriteRune(rune(n))
			} else {
				b.WriteByte(byte(n))
			}
			i = end - 1
		}
		switch c := s[i]; c {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'e', 'E':
			b.WriteByte(0x1b)
		case 'a', 'b', 'f', 'v':
			b.WriteByte(' ')
		case 'x':
			number(i+1, 2, 16)
		case 'u':
			number(i+1, 4, 16)
		case 'U':
			number(i+1, 8, 16)
		case '0', '1', '2', '3', '4', '5', '6', '7':
			number(i, 3, 8)
		default:
			b.WriteByte(c)
		}
	}
	return Word{Text: b.String()}
}
