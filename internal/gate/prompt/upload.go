package prompt

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
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
		w, err := out.CreatePart(p.Header)
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

// file returns what is sent instead of a file's content.
func (x *exchange) file(content []byte, purpose string) ([]byte, *Refusal) {
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
	if purpose == "batch" {
		return x.lines(content)
	}
	return x.maskPart(content)
}

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
		f, ref := scan(bytes.TrimRight(line, "\r\n"))
		if ref != nil {
			return nil, ref
		}
		b := &body{raw: get(line, "body"), facts: f}
		inner, ref := scan(b.raw)
		if ref != nil {
			return nil, ref
		}
		b.facts = inner
		if ref := b.findModels(&route{dialect: OpenAI, op: operation{models: true}}); ref != nil {
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
	mask := x.g.o.Masker.MaskText
	if f, ref := scan(content); ref == nil && len(f.media) == 0 {
		mask = func(session string, b []byte) ([]byte, map[string]int, error) {
			return x.g.o.Masker.MaskJSON(session, b, nil)
		}
	}
	out, found, err := mask(x.caller.Session, content)
	if err != nil {
		return nil, maskRefusal(err)
	}
	x.count(found)
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
