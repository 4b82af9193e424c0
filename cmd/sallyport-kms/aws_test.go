package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A configuration that would have a program run is refused, wherever it lies and in whichever profile.
func TestCheckAWS(t *testing.T) {
	const good = "[default]\nregion = us-east-1\n# credential_process = /x\n"
	for name, tt := range map[string]struct {
		variable, file, content string
		ok                      bool
	}{
		"nothing":                   {"", "", "", true},
		"a region":                  {"", ".aws/config", good, true},
		"a program":                 {"", ".aws/config", good + "credential_process = /x\n", false},
		"a program, in capitals":    {"", ".aws/config", good + "  Credential_Process=/x\r\n", false},
		"in another profile":        {"", ".aws/config", good + "[profile other]\ncredential_process = /x", false},
		"among the credentials":     {"", ".aws/credentials", good + "credential_process = /x\n", false},
		"in a file that is named":   {"AWS_CONFIG_FILE", "planted", "[default]\ncredential_process = /x\n", false},
		"among credentials, named":  {"AWS_SHARED_CREDENTIALS_FILE", "planted", "[default]\ncredential_process = /x\n", false},
		"a file that is too large":  {"AWS_CONFIG_FILE", "planted", strings.Repeat("#\n", maxAWS), false},
		"a named file, no program":  {"AWS_CONFIG_FILE", "planted", good, true},
		"a file that is not a file": {"AWS_CONFIG_FILE", ".", "", false},
	} {
		home := t.TempDir()
		env := map[string]string{"HOME": home}
		path := filepath.Join(home, tt.file)
		if tt.variable != "" {
			env[tt.variable] = path
		}
		if tt.content != "" {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := checkAWS(func(n string) string { return env[n] }); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRunsProgram(f *testing.F) {
	f.Add([]byte("[a]\ncredential_process=x\n"))
	f.Add([]byte("# credential_process"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if runsProgram(b) != runsProgram(append([]byte("[x]\nregion=y\n"), b...)) {
			t.Error("what stands before it decides")
		}
	})
}
