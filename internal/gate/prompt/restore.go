package prompt

import (
	"slices"
	"unicode/utf8"
)

// An edit replaces a piece of JSON.
type edit struct {
	start, end int
	new        []byte
}

// splice returns v with the edits made.
func splice(v []byte, edits []edit) []byte {
	slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	out := make([]byte, 0, len(v)+256)
	at := 0
	for _, e := range edits {
		if e.start < at {
			continue // of two that meet, the first; there are none
		}
		out = append(out, v[at:e.start]...)
		out = append(out, e.new...)
		at = e.end
	}
	return append(out, v[at:]...)
}

// quote appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func quote(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}

// restore returns an answer that is one JSON value, with originals put back where they may be.
func (a *answer) restore(v []byte) []byte {
	edits := a.texts(nil, v, nil)
	if len(edits) == 0 {
		return v
	}
	return splice(v, edits)
}

// untouched are members whose texts are not the model's answer to the client: thoughts, which vendors sign
// and want back as they were, and names of things.
var untouched = []string{"thinking", "signature", "thoughtSignature", "thought_signature", "encrypted_content", "reasoning_content", "data", "id", "model", "type", "role", "name", "object", "item_id", "call_id", "tool_use_id", "instructions", "tools"}

// texts appends the edits that put originals back in the strings of v, each a text of its own. Strings of
// deltas are left out, since theirs go on elsewhere.
func (a *answer) texts(edits []edit, v []byte, deltas []delta) []edit {
	x := a.x
	may := func(where Where, inJSON bool) bool {
		return x.g.o.Masker.Unmask(x.caller.Session, where, inJSON) != nil
	}
	text0, tool, toolJSON := may(InText, false), may(InTool, false), may(InTool, true)
	if !text0 && !tool && !toolJSON {
		return edits
	}
	w := restorer{a: a, whole: v, deltas: deltas, edits: edits}
	w.value(v, InText, false, 0)
	return w.edits
}

type restorer struct {
	a      *answer
	whole  []byte
	deltas []delta
	edits  []edit
	dec    []byte
}

func (w *restorer) value(v []byte, where Where, inJSON bool, depth int) {
	if len(v) == 0 || depth > maxDepth {
		return
	}
	switch v[0] {
	case '"':
		w.text(v, where, inJSON)
	case '[':
		each(v, func(e []byte) bool { w.value(e, where, inJSON, depth+1); return true })
	case '{':
		members(v, func(quoted, value []byte) bool {
			name := string(quoted[1 : len(quoted)-1])
			switch {
			case where == InText && slices.Contains(untouched, name):
			case where == InText && (name == "input" || name == "args"):
				w.value(value, InTool, false, depth+1)
			case where == InText && name == "arguments":
				w.value(value, InTool, true, depth+1)
			default:
				w.value(value, where, inJSON, depth+1)
			}
			return true
		})
	}
}

func (w *restorer) text(v []byte, where Where, inJSON bool) {
	at := offset(w.whole, v)
	for i := range w.deltas {
		if offset(w.whole, w.deltas[i].value) == at {
			return
		}
	}
	s, ok := text(v)
	if !ok || s == "" {
		return
	}
	u := w.a.x.g.o.Masker.Unmask(w.a.x.caller.Session, where, inJSON)
	if u == nil {
		return
	}
	w.dec = u.Flush(u.Write(w.dec[:0], []byte(s)))
	if string(w.dec) != s {
		w.edits = append(w.edits, edit{at, at + len(v), quote(nil, w.dec)})
	}
}
