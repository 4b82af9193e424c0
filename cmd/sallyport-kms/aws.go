package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
)

// maxAWS bounds a configuration file.
const maxAWS = 1 << 20

// checkAWS refuses configuration of AWS that runs programs. The files are those that its library reads.
func checkAWS(getenv func(string) string) error {
	home := getenv("HOME")
	if home == "" {
		home, _ = os.UserHomeDir()
	}
	if home == "" {
		if u, err := user.Current(); err == nil {
			home = u.HomeDir
		}
	}
	for name, file := range map[string]string{"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"} {
		path := getenv(name)
		if path == "" {
			path = filepath.Join(home, ".aws", file)
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at the configuration of AWS: %w", err)
		}
		b, err := io.ReadAll(io.LimitReader(f, maxAWS+1))
		f.Close()
		switch {
		case err != nil:
			return fmt.Errorf("look at the configuration of AWS: %w", err)
		case len(b) > maxAWS:
			return fmt.Errorf("%s is larger than a mebibyte", path)
		case runsProgram(b):
			return fmt.Errorf(`%s names a program to run (credential_process), which is not done beside a key: eval "$(aws configure export-credentials --format env)" puts its answer into the environment`, path)
		}
	}
	return nil
}

// runsProgram reports whether a configuration holds credential_process outside of a comment. It does not
// read sections: another profile than the one that is meant may be chosen by a variable.
func runsProgram(b []byte) bool {
	for line := range bytes.FieldsFuncSeq(bytes.ToLower(b), func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("#")) && !bytes.HasPrefix(line, []byte(";")) && bytes.Contains(line, []byte("credential_process")) {
			return true
		}
	}
	return false
}
