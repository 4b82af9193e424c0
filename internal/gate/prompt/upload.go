package prompt

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a form.
const (
	maxParts = 16
	maxField = 4 << 10
	maxLines = 50_000 // of a batch file, as OpenAI has it
)

// upload reads a form with a file. Text is masked, each line of a batch as the request that it is; what is
// no text passes only as a document or an image that the rules let pass.
func (x *exchange) upload(raw []byte, boundary string) *Refusal {
	if boundary == "" || len(boundary) > 70 {
		return bodyRefused("is a form without a boundary")
	}
	in := multipart.NewReader(bytes.NewReader(raw), boundary)
	var buf bytes.Buffer
	out := multipart.NewWriter(&buf)
	if out.SetBoundary(boundary) != nil {
		return bodyRefused("is a form with an odd boundary")
	}
	fields := map[string]string{}
	files := 0
	for n := 0; ; n++ {
		p, err := in.NextRawPart() // nothing is decoded on the way
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || n == maxParts {
			return bodyRefused("is a form that cannot be read, or has more than %d parts", maxParts)
		}
		if p.Header.Get("Content-Transfer-Encoding") != "" || p.FormName() == "" {
			return bodyRefused("is a form with a part that is encoded or has no name")
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return bodyRefused("is a form whose parts cannot be read")
		}
		head, ref := x.partHeader(p)
		if ref != nil {
			return ref
		}
		if p.FileName() == "" {
			if _, twice := fields[p.FormName()]; twice || len(content) > maxField {
				return bodyRefused("is a form with the field %.40q twice, or longer than %d bytes", p.FormName(), maxField)
			}
			fields[p.FormName()] = string(content)
		} else {
			if files++; files > 1 {
				return bodyRefused("is a form with two files")
			}
			var ref *Refusal
			// The purpose has to stand before the file, as clients put it: what it is for decides how it is read.
			if content, ref = x.file(content, fields["purpose"]); ref != nil {
				return ref
			}
			fields["\x00file"] = fields["purpose"]
		}
		w, err := out.CreatePart(head)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			return bodyRefused("is a form that cannot be written again")
		}
	}
	if files == 0 || fields["\x00file"] != fields["purpose"] {
		return bodyRefused("is a form without a file, or with its purpose after the file")
	}
	for name, v := range fields {
		if _, found, err := x.g.o.Masker.MaskText(x.caller.Session, []byte(v)); err != nil {
			return maskRefusal(err)
		} else if len(found) > 0 {
			return refuse(http.StatusForbidden, "field-refused", "take it out", "the field %.40q of the form holds what must not leave", name)
		}
	}
	if out.Close() != nil {
		return bodyRefused("is a form that cannot be written again")
	}
	x.out = buf.Bytes()
	return nil
}

// The fields of a form that are known, and what files may be for.
var (
	formFields = []string{"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"}
	purposes   = []string{"", "assistants", "batch", "evals", "fine-tune", "user_data", "vision"}
)

// partHeader makes the header of a part anew from what was understood of it, so that the vendor has no other
// reading, and looks through what the client chose in it.
func (x *exchange) partHeader(p *multipart.Part) (textproto.MIMEHeader, *Refusal) {
	name, file := p.FormName(), p.FileName()
	if !slices.Contains(formFields, name) || (file != "") != (name == "file") {
		return nil, bodyRefused("is a form with the field %.40q, which is not known here", x.clean(name))
	}
	disposition := `form-data; name="` + name + `"`
	if file != "" {
		if strings.ContainsFunc(file, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '"' || r == '\\' || r == utf8.RuneError }) {
			return nil, bodyRefused("is a form with a file whose name has letters that are read in several ways")
		}
		disposition += `; filename="` + file + `"`
	}
	head := textproto.MIMEHeader{"Content-Disposition": {disposition}}
	kind := p.Header.Get("Content-Type")
	if kind != "" {
		t, _, err := mime.ParseMediaType(kind)
		if err != nil {
			return nil, bodyRefused("is a form with a part of no readable type")
		}
		kind = t
		head.Set("Content-Type", t)
	}
	for _, v := range []string{file, kind} {
		if _, found, err := x.g.o.Masker.MaskText(x.caller.Session, []byte(v)); err != nil {
			return nil, maskRefusal(err)
		} else if len(found) > 0 {
			return nil, refuse(http.StatusForbidden, "field-refused", "take it out", "the file's name or type holds what must not leave")
		}
	}
	return head, nil
}

// file returns what is sent instead of a file's content.
func (x *exchange) file(content []byte, purpose string) ([]byte, *Refusal) {
	if !slices.Contains(purposes, purpose) {
		return nil, refuse(http.StatusForbidden, "field-refused", "name a purpose of the vendor's", "the purpose %.40q of a file is not known here", x.clean(purpose))
	}
	if purpose == "batch" {
		return x.lines(content) // which are JSON, or nothing
	}
	if !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 || bytes.HasPrefix(content, []byte("%PDF-")) {
		kind := "document"
		if t := http.DetectContentType(content); len(t) > 6 && t[:6] == "image/" {
			kind = "image"
		}
		if kind == "image" && !x.g.o.Rules.Images || kind == "document" && !x.g.o.Rules.Documents {
			return nil, refuse(http.StatusForbidden, "media-refused", "have prompt.pass allow "+kind, "the file is a part of kind %s, which no rule lets pass", kind)
		}
		x.rec.Media = map[string]int{kind: 1}
		return content, nil
	}
	return x.maskPart(content)
}

// lineNames are the members of a line of a batch file.
var lineNames = []string{"custom_id", "method", "url", "body"}

// lines reads a batch file, a request in each line.
func (x *exchange) lines(content []byte) ([]byte, *Refusal) {
	out := make([]byte, 0, len(content))
	n := 0
	for line := range bytes.Lines(content) {
		if n++; n > maxLines {
			return nil, bodyRefused("is a batch of more than %d lines", maxLines)
		}
		if len(bytes.TrimSpace(line)) == 0 {
			out = append(out, line...)
			continue
		}
		whole := bytes.TrimRight(line, "\r\n")
		if bytes.IndexByte(whole, '\r') >= 0 {
			return nil, bodyRefused("is a batch with a line that some take for two")
		}
		f, ref := scan(whole)
		if ref != nil {
			return nil, ref
		}
		for _, m := range f.top {
			if !slices.Contains(lineNames, m.name) {
				return nil, bodyRefused("is a batch with the name %.40q in a line", x.clean(m.name))
			}
		}
		b, ref := (&route{dialect: OpenAI, op: operation{models: true}}).read(f.get(whole, "body"))
		if ref != nil {
			return nil, ref
		}
		for _, m := range b.models {
			if !slices.Contains(x.named, m) {
				x.named = append(x.named, m)
			}
		}
		if len(x.named) > maxModels {
			return nil, refuse(http.StatusBadRequest, "model-ambiguous", "name fewer models", "the batch names more than %d models", maxModels)
		}
		if _, ref := x.g.o.Rules.judge(f); ref != nil {
			return nil, ref
		}
		masked, found, err := x.g.o.Masker.MaskJSON(x.caller.Session, line, f.skips())
		if err != nil {
			return nil, maskRefusal(err)
		}
		x.count(found)
		out = append(out, masked...)
	}
	return out, nil
}

func (x *exchange) maskPart(content []byte) ([]byte, *Refusal) {
	if len(bytes.TrimSpace(content)) > 0 && bytes.TrimSpace(content)[0] == '{' {
		return x.maskLines(content)
	}
	out, found, err := x.g.o.Masker.MaskText(x.caller.Session, content)
	if err != nil {
		return nil, maskRefusal(err)
	}
	x.count(found)
	return out, nil
}

// maskLines masks JSON, whole or a value in each line, as such: its escapes are undone for the search. What is
// neither is masked as the text that it is.
func (x *exchange) maskLines(content []byte) ([]byte, *Refusal) {
	pieces := [][]byte{content}
	if _, ref := scan(content); ref != nil {
		pieces = slices.Collect(bytes.Lines(content))
	}
	out := make([]byte, 0, len(content))
	for _, p := range pieces {
		mask := x.g.o.Masker.MaskText
		if _, ref := scan(bytes.TrimSpace(p)); ref == nil {
			mask = func(session string, b []byte) ([]byte, map[string]int, error) {
				return x.g.o.Masker.MaskJSON(session, b, nil)
			}
		}
		masked, found, err := mask(x.caller.Session, p)
		if err != nil {
			return nil, maskRefusal(err)
		}
		x.count(found)
		out = append(out, masked...)
	}
	// Text of several lines, such as a private key, is seen only as a whole.
	if len(pieces) > 1 {
		var found map[string]int
		var err error
		if out, found, err = x.g.o.Masker.MaskText(x.caller.Session, out); err != nil {
			return nil, maskRefusal(err)
		}
		x.count(found)
	}
	return out, nil
}

func (x *exchange) count(found map[string]int) {
	for k, n := range found {
		if x.rec.Masked == nil {
			x.rec.Masked = map[string]int{}
		}
		x.rec.Masked[k] += n
	}
}
