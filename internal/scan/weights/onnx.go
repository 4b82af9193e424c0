package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// onnx reads the fields of a ModelProto and passes over the graph, which holds the tensors.
func onnx(m *Model, facts map[string]string, r io.ReaderAt, size int64) error {
	at, seen := int64(0), map[uint64]bool{}
	varint := func() (uint64, error) {
		var b [binary.MaxVarintLen64]byte
		n, err := r.ReadAt(b[:min(int64(len(b)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		v, used := binary.Uvarint(b[:n])
		if used <= 0 {
			return 0, errors.New("it is cut short")
		}
		at += int64(used)
		return v, nil
	}
	for fields := 0; at < size; fields++ {
		if fields > maxEntries {
			return errors.New("it has too many fields")
		}
		tag, err := varint()
		if err != nil {
			return err
		}
		field, wire := tag>>3, tag&7
		if field == 0 || field > 100 {
			return fmt.Errorf("it has a field %d, which no ONNX model has", field)
		}
		seen[field] = true
		v, err := varint()
		switch {
		case err != nil:
			return err
		case wire == 0:
			switch field {
			case 1:
				facts["ir_version"] = strconv.FormatUint(v, 10)
			case 5:
				facts["model_version"] = strconv.FormatUint(v, 10)
			}
		case wire == 2 && v <= uint64(size-at):
			if name := map[uint64]string{2: "producer", 3: "producer_version", 4: "domain"}[field]; name != "" {
				b := make([]byte, min(v, maxText))
				if _, err := r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
					return err
				}
				facts[name] = string(b)
			}
			at += int64(v) //nolint:gosec // it is no more than the size
		default:
			return errors.New("it is no ONNX model")
		}
	}
	if !seen[1] || !seen[7] {
		return errors.New("it has no version or no graph")
	}
	m.Architecture = ""
	return nil
}
