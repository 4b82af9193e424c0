package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

func tensors(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func text(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

func ggufOf(dims ...uint64) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32([]byte("GGUF"), 3)
	b = le.AppendUint64(le.AppendUint64(b, 1), 4)
	b = text(le.AppendUint32(text(b, "general.architecture"), 8), "llama")
	b = text(le.AppendUint32(text(b, "general.license"), 8), "apache-2.0")
	b = le.AppendUint32(le.AppendUint32(text(b, "llama.context_length"), 4), 4096)
	b = le.AppendUint64(le.AppendUint32(le.AppendUint32(text(b, "tokenizer.ggml.tokens"), 9), 8), 2)
	b = text(text(b, "a"), "b")
	b = le.AppendUint32(text(b, "w"), uint32(len(dims)))
	for _, d := range dims {
		b = le.AppendUint64(b, d)
	}
	return le.AppendUint64(le.AppendUint32(b, 2), 0)
}

func onnxOf() []byte {
	return append([]byte{1 << 3, 8, 2<<3 | 2, 2, 'p', 't', 7<<3 | 2, 3}, 1, 2, 3)
}

const twoTensors = `{"__metadata__":{"format":"pt","license":"mit"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F32","shape":[],"data_offsets":[12,16]}}`

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		format string
		b      []byte
		want   string // "" is an error
	}{
		{"safetensors", tensors(twoTensors, 16), "|mit|framework=pt parameters=7 tensors=2 types=F16 F32 "},
		{"safetensors", tensors(twoTensors, 15), ""},
		{"safetensors", tensors(twoTensors, 16)[:40], ""},
		{"safetensors", tensors(`{"a":{"dtype":"F16","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), ""},
		{"safetensors", tensors(`{"a":{"dtype":"F16","shape":[-1],"data_offsets":[0,0]}}`, 0), ""},
		{"safetensors", tensors(`{"a":1,"a":2}`, 0), ""},
		{"safetensors", binary.LittleEndian.AppendUint64(nil, 1<<62), ""},
		{"safetensors", nil, ""},
		{"gguf", ggufOf(4, 5), "llama|apache-2.0|context_length=4096 gguf=3 parameters=20 tensors=1 types=ggml-2 "},
		{"gguf", ggufOf(1<<40, 1<<40), ""},
		{"gguf", ggufOf(make([]uint64, 17)...), ""},
		{"gguf", ggufOf(4, 5)[:90], ""},
		{"gguf", []byte("GGUF\x01\x00\x00\x00"), ""},
		{"gguf", append(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64([]byte("GGUF\x03\x00\x00\x00"), 0), 1), bytes.Repeat([]byte{0xff}, 8)...), ""},
		{"onnx", onnxOf(), "||ir_version=8 producer=pt "},
		{"onnx", onnxOf()[:6], ""},
		{"onnx", onnxOf()[:9], ""},
		{"onnx", []byte("PK\x03\x04 no model"), ""},
		{"onnx", nil, ""},
		{"pickle", nil, ""},
	} {
		m, err := Read(tt.format, bytes.NewReader(tt.b), int64(len(tt.b)))
		var got strings.Builder
		if err == nil {
			got.WriteString(m.Architecture + "|" + m.Licence + "|")
			for _, f := range m.Facts {
				got.WriteString(f.Name + "=" + f.Value + " ")
			}
		}
		if got.String() != tt.want || (tt.want == "") != errors.Is(err, ErrHeader) {
			t.Errorf("%s %.40q: %q, %v; want %q", tt.format, tt.b, got.String(), err, tt.want)
		}
	}
	for name, want := range map[string]string{"a/B.SafeTensors": "safetensors", "x.gguf": "gguf", "x.onnx": "onnx", "x.bin": "", "gguf": ""} {
		if got := Format(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("safetensors", tensors(twoTensors, 16))
	f.Add("gguf", ggufOf(4, 5))
	f.Add("onnx", onnxOf())
	f.Fuzz(func(t *testing.T, format string, b []byte) {
		m, err := Read(format, bytes.NewReader(b), int64(len(b)))
		if err != nil && len(m.Facts) > 0 {
			t.Fatalf("%+v, %v", m, err)
		}
		for _, fact := range m.Facts {
			if len(fact.Value) > maxText || strings.ContainsAny(fact.Value, "\x00\n\x1b") {
				t.Fatalf("%+v", fact)
			}
		}
	})
}
