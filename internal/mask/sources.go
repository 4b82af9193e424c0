package mask

import (
	"bytes"
	"strings"
)

// FromEnviron returns those variables, in the form of os.Environ, whose names promise a secret, with values
// that are long enough to be looked for and are no paths.
func FromEnviron(environ []string) []Known {
	var out []Known
	for _, kv := range environ {
		name, value, ok := strings.Cut(kv, "=")
		if ok && levelOf([]byte(name)) >= medium && usable(value) && !isLocation([]byte(value)) {
			out = append(out, Known{Name: name, Value: value})
		}
	}
	return out
}

func usable(value string) bool {
	return len(value) >= MinKnown && len(value) <= MaxKnown && distinctOf([]byte(value)) > 2 && !stopWhole()[strings.ToLower(value)]
}

// FromDotenv returns the values of a .env file whose names promise a secret, or that look like one
// wherever they stand. It reads NAME=VALUE, quotation marks, "export" and comments; what it cannot read it
// leaves out.
func FromDotenv(file []byte) []Known {
	var out []Known
	for line := range bytes.Lines(file) {
		text := strings.TrimSpace(string(line))
		text = strings.TrimPrefix(text, "export ")
		name, value, ok := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') {
			quote := value[0]
			end := 1
			for end < n && (value[end] != quote || quote == '"' && value[end-1] == '\\') {
				end++
			}
			if end < n {
				value = value[1:end]
				if quote == '"' {
					value = strings.NewReplacer(`\n`, "\n", `\"`, `"`, `\\`, `\`).Replace(value)
				}
			}
		} else if i := strings.Index(value, " #"); i >= 0 {
			value = strings.TrimSpace(value[:i])
		}
		sh := shapeOf([]byte(value))
		if usable(value) && !isLocation([]byte(value)) && (levelOf([]byte(name)) >= medium || sh.random() && len(value) >= 16) {
			out = append(out, Known{Name: name, Value: value})
		}
	}
	return out
}

// FromList returns the values of a file with one to a line. Every line counts, but empty ones.
func FromList(name string, file []byte) []Known {
	var out []Known
	for line := range bytes.Lines(file) {
		if value := strings.TrimRight(string(line), "\r\n"); len(value) >= MinKnown {
			out = append(out, Known{Name: name, Value: value})
		}
	}
	return out
}
