package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sallyport-dev/sallyport"
)

// A LogEntry says where a decision stands in the transparency log.
type LogEntry struct {
	Origin string `json:"origin"`
	Index  uint64 `json:"index"`
}

// A Document is the JSON form of a decision. Its keys do not change within a version of the
// decision's encoding; a later version of this program may add keys.
type Document struct {
	// Decision is the decision as it was recorded.
	Decision sallyport.Decision `json:"decision"`
	// ID is the SHA-256 of the decision's one encoding ([sallyport.Decision.Encode]), by which
	// the log and `sallyport explain` name it. It is empty if nothing was recorded.
	ID sallyport.Digest `json:"id"`
	// ExitStatus is what the command that printed this exits with.
	ExitStatus int `json:"exit_status"`
	// Log is null if the decision is in no log.
	Log *LogEntry `json:"log"`
}

// JSON writes a decision as one [Document] on one line.
func JSON(w io.Writer, d sallyport.Decision, id sallyport.Digest, log *LogEntry) error {
	return Value(w, Document{Decision: d, ID: id, ExitStatus: d.ExitStatus(), Log: log})
}

// Value writes any value as JSON on one line, with every unprintable character escaped: C1
// controls and bidirectional controls are legal inside JSON strings, and act on a terminal.
func Value(w io.Writer, v any) error {
	b, err := sallyport.EncodeJSON(v)
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	_, err = io.WriteString(w, escapeJSON(string(b))+"\n")
	return err
}

// Indented writes any value as Value does, over several lines.
func Indented(w io.Writer, v any) error {
	b, err := sallyport.EncodeJSON(v)
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(escapeJSON(string(b))), "", "  "); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	out.WriteByte('\n')
	_, err = w.Write(out.Bytes())
	return err
}

// escapeJSON replaces by their escapes what can stand only inside the strings of a JSON text and
// acts where it is shown: unprintable characters; the number signs of what CI systems carry out
// anywhere in a line (see command); and what begins a tag, for whoever puts JSON into a page.
func escapeJSON(s string) string {
	ok := func(i int, r rune) bool {
		return r != utf8.RuneError && r != '<' && unicode.IsPrint(r) && (r != '#' || !command(s, i))
	}
	first := -1
	for i, r := range s {
		if !ok(i, r) {
			first = i
			break
		}
	}
	if first < 0 {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:first])
	for i, r := range s[first:] {
		switch {
		case ok(first+i, r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
