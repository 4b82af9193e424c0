// Package weights reads what files that hold machine learning models say of themselves.
//
// Three formats are read, by the ending of the file's name: safetensors, GGUF and ONNX. Of each only the header
// is read, within limits, and no tensor. What a header says was written by whoever made the file: that it
// has so many parameters follows from the shapes that it lists, and the architecture and the licence are its
// own words. A header that cannot be read is an error; formats that run code when they are loaded (pickle,
// in .pt and .bin) are not read at all.
//
// Specifications: https://github.com/huggingface/safetensors, https://github.com/ggml-org/ggml (its page on GGUF),
// https://github.com/onnx/onnx (onnx/onnx.proto).
package weights

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// Limits of a header.
const (
	maxHeader  = 64 << 20 // bytes
	maxTensors = 1 << 20
	maxEntries = 1 << 16
	maxDims    = 16
	maxText    = 1 << 10 // of a fact
)

// ErrHeader is returned for a header that cannot be read.
var ErrHeader = errors.New("the header of the model cannot be read")

// A Model is what a header says.
type Model struct {
	Format       string // safetensors, gguf or onnx
	Name         string
	Architecture string
	Licence      string // in its own words
	Facts        []Fact // in the order of their names
}

// A Fact is something else that a header says.
type Fact struct{ Name, Value string }

// Format returns the format that a file of that name has, or "".
func Format(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".safetensors":
		return "safetensors"
	case ".gguf":
		return "gguf"
	case ".onnx":
		return "onnx"
	}
	return ""
}

// Read reads the header of a file of that format and size.
func Read(format string, r io.ReaderAt, size int64) (Model, error) {
	m := Model{Format: format}
	facts := map[string]string{}
	var err error
	switch format {
	case "safetensors":
		err = safetensors(&m, facts, r, size)
	case "gguf":
		err = gguf(&m, facts, r, size)
	case "onnx":
		err = onnx(&m, facts, r, size)
	default:
		return m, fmt.Errorf("%w: %.20q is no format that is read", ErrHeader, format)
	}
	if err != nil {
		return Model{Format: format}, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	for _, k := range slices.Sorted(maps.Keys(facts)) {
		if v := clean(facts[k]); v != "" {
			m.Facts = append(m.Facts, Fact{k, v})
		}
	}
	m.Name, m.Architecture, m.Licence = clean(m.Name), clean(m.Architecture), clean(m.Licence)
	return m, nil
}

// clean makes a stranger's words one short line.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)), " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// product multiplies the dimensions of a tensor, and adds them to sum.
func product(sum uint64, dims []uint64) (uint64, error) {
	n := uint64(1)
	for _, d := range dims {
		hi, lo := bits.Mul64(n, d)
		if hi != 0 {
			return 0, errors.New("a tensor has too many elements")
		}
		n = lo
	}
	out, carry := bits.Add64(sum, n, 0)
	if carry != 0 {
		return 0, errors.New("it has too many parameters")
	}
	return out, nil
}

func safetensors(m *Model, facts map[string]string, r io.ReaderAt, size int64) error {
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return errors.New("it is cut short")
	}
	n := binary.LittleEndian.Uint64(head[:])
	if n < 2 || n > maxHeader || int64(n) > size-8 {
		return fmt.Errorf("its header would have %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := r.ReadAt(b, 8); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var entries map[string]json.RawMessage
	if err := strict.LaxJSON(b, maxHeader, &entries); err != nil {
		return err
	}
	if len(entries) > maxTensors {
		return errors.New("it lists too many tensors")
	}
	types := map[string]int{}
	var sum uint64
	for name, raw := range entries {
		if name == "__metadata__" {
			var meta map[string]string
			if err := json.Unmarshal(raw, &meta); err != nil {
				return errors.New("its metadata is no list of texts")
			}
			m.Licence, m.Architecture, m.Name = meta["license"], meta["modelspec.architecture"], meta["modelspec.title"]
			if v := meta["modelspec.license"]; v != "" {
				m.Licence = v
			}
			facts["framework"] = meta["format"]
			continue
		}
		var t struct {
			Type    string   `json:"dtype"`
			Shape   []uint64 `json:"shape"`
			Offsets []uint64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &t); err != nil || t.Type == "" || len(t.Shape) > maxDims || len(t.Offsets) != 2 || t.Offsets[0] > t.Offsets[1] || t.Offsets[1] > uint64(size)-8-n {
			return fmt.Errorf("the tensor %.60q is malformed", name)
		}
		var err error
		if sum, err = product(sum, t.Shape); err != nil {
			return err
		}
		types[clean(t.Type)]++
	}
	count(facts, len(entries)-present(entries, "__metadata__"), sum, types)
	return nil
}

func present[V any](m map[string]V, k string) int {
	if _, ok := m[k]; ok {
		return 1
	}
	return 0
}

func count(facts map[string]string, tensors int, parameters uint64, types map[string]int) {
	facts["tensors"], facts["parameters"] = strconv.Itoa(tensors), strconv.FormatUint(parameters, 10)
	facts["types"] = strings.Join(slices.Sorted(maps.Keys(types)), " ")
}
