package weights

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A stream reads GGUF's little-endian values, and keeps the first fault.
type stream struct {
	r   *bufio.Reader
	err error
}

func (s *stream) bytes(n int) []byte {
	b := make([]byte, n)
	if s.err == nil {
		_, s.err = io.ReadFull(s.r, b)
	}
	return b
}

func (s *stream) u32() uint32 { return binary.LittleEndian.Uint32(s.bytes(4)) }
func (s *stream) u64() uint64 { return binary.LittleEndian.Uint64(s.bytes(8)) }

// text reads a text, of which no more than keep bytes are kept.
func (s *stream) text(keep int) string {
	n := s.u64()
	if n > maxHeader && s.err == nil {
		s.err = errors.New("a text is too long")
	}
	if s.err != nil {
		return ""
	}
	b := s.bytes(min(int(n), keep))
	s.skip(n - uint64(len(b)))
	return string(b)
}

func (s *stream) skip(n uint64) {
	if s.err == nil && n > 0 {
		_, s.err = io.CopyN(io.Discard, s.r, int64(min(n, maxHeader+1))) //nolint:gosec // it is bounded
	}
}

// scalars are the sizes of GGUF's value types; 8 is a text and 9 a list.
var scalars = map[uint32]int{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

// value reads a value, and returns it as text if it is one or a whole number.
func (s *stream) value(kind uint32, depth int) string {
	switch n, ok := scalars[kind]; {
	case s.err != nil:
	case ok:
		b := s.bytes(n)
		switch kind {
		case 4:
			return strconv.FormatUint(uint64(binary.LittleEndian.Uint32(b)), 10)
		case 10:
			return strconv.FormatUint(binary.LittleEndian.Uint64(b), 10)
		}
	case kind == 8:
		return s.text(maxText)
	case kind == 9 && depth < 3:
		inner, n := s.u32(), s.u64()
		if size, ok := scalars[inner]; ok && n <= maxHeader {
			s.skip(n * uint64(size)) //nolint:gosec // sizes are small
			return ""
		}
		for i := uint64(0); i < n && s.err == nil; i++ {
			s.value(inner, depth+1)
		}
	default:
		s.err = fmt.Errorf("a value has the type %d", kind)
	}
	return ""
}

func gguf(m *Model, facts map[string]string, r io.ReaderAt, size int64) error {
	s := &stream{r: bufio.NewReaderSize(io.NewSectionReader(r, 0, min(size, maxHeader)), 64<<10)}
	if string(s.bytes(4)) != "GGUF" {
		return errors.New("it does not begin as GGUF does")
	}
	version, tensors, entries := s.u32(), s.u64(), s.u64()
	if s.err == nil && (version < 2 || version > 3 || tensors > maxTensors || entries > maxEntries) {
		return fmt.Errorf("it is of version %d, with %d tensors and %d entries", version, tensors, entries)
	}
	for i := uint64(0); i < entries && s.err == nil; i++ {
		key := s.text(256)
		v := s.value(s.u32(), 0)
		switch {
		case key == "general.architecture":
			m.Architecture = v
		case key == "general.name":
			m.Name = v
		case key == "general.license":
			m.Licence = v
		case key == "general.file_type", key == "general.quantization_version", key == "general.size_label", key == "general.version", key == "general.basename":
			facts[strings.TrimPrefix(key, "general.")] = v
		case strings.HasSuffix(key, ".context_length"), strings.HasSuffix(key, ".block_count"), strings.HasSuffix(key, ".embedding_length"):
			facts[key[strings.LastIndexByte(key, '.')+1:]] = v
		}
	}
	types := map[string]int{}
	var sum uint64
	for i := uint64(0); i < tensors && s.err == nil; i++ {
		s.text(0)
		n := s.u32()
		if n > maxDims {
			return errors.New("a tensor has too many dimensions")
		}
		dims := make([]uint64, n)
		for j := range dims {
			dims[j] = s.u64()
		}
		kind := s.u32()
		s.u64()
		if s.err == nil {
			if sum, s.err = product(sum, dims); s.err == nil {
				types["ggml-"+strconv.FormatUint(uint64(kind), 10)]++
			}
		}
	}
	if s.err != nil {
		if errors.Is(s.err, io.EOF) || errors.Is(s.err, io.ErrUnexpectedEOF) {
			return errors.New("it is cut short, or its header is too large")
		}
		return s.err
	}
	facts["gguf"] = strconv.FormatUint(uint64(version), 10)
	count(facts, int(tensors), sum, types) //nolint:gosec // it is bounded
	return nil
}
