package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	env := map[string]string{"COSIGN_PKCS11_PIN": "1234"}
	getenv := func(n string) string { return env[n] }
	l, err := parseURI("pkcs11:token=a%20b;object=k%3b1;id=%01%ff;type=private?module-path=/m.so", getenv)
	if err != nil || l.token != "a b" || string(l.label) != "k;1" || string(l.id) != "\x01\xff" || l.module != "/m.so" || l.pin != "1234" || l.slot != nil {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err = parseURI("pkcs11:slot-id=7;object=k?module-path=/m.so", getenv); err != nil || l.slot == nil || *l.slot != 7 {
		t.Errorf("%+v, %v", l, err)
	}
	env["COSIGN_PKCS11_MODULE_PATH"] = "/other.so"
	if l, err = parseURI("pkcs11:token=t;object=k", getenv); err != nil || l.module != "/other.so" {
		t.Errorf("%+v, %v", l, err)
	}
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, []byte("9876\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = parseURI("pkcs11:token=t;object=k?pin-source=file:"+pin, getenv); err != nil || l.pin != "9876" {
		t.Errorf("%+v, %v", l, err)
	}
	for uri, says := range map[string]string{
		"file:x":                            "no pkcs11:",
		"pkcs11:object=k":                   "names no token",
		"pkcs11:token=t;slot-id=1;object=k": "names a token and a slot",
		"pkcs11:token=t":                    "names no key",
		"pkcs11:token=t;object=k?module-path=m.so":     "relative",
		"pkcs11:token=t;object=k;serial=1":             "not known",
		"pkcs11:token=t;object=k;type=cert":            "want private",
		"pkcs11:token=t;token=u;object=k":              "twice",
		"pkcs11:token=;object=k":                       "empty",
		"pkcs11:token=%zz;object=k":                    "percent-encoded",
		"pkcs11:slot-id=-1;object=k":                   "not a number",
		"pkcs11:token=t;object=k?pin-value=1":          "not known",
		"pkcs11:token=t;object=k?pin-source=|cat%20/x": "read the PIN",
	} {
		if _, err := parseURI(uri, getenv); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that says %q", uri, err, says)
		}
	}
	delete(env, "COSIGN_PKCS11_PIN")
	if _, err := parseURI("pkcs11:token=t;object=k", getenv); err == nil || !strings.Contains(err.Error(), "there is no PIN") {
		t.Errorf("no PIN: %v", err)
	}
}

// What parses names a token, a key, a PIN and the absolute path of a module.
func FuzzParseURI(f *testing.F) {
	f.Add("pkcs11:token=a;object=b?module-path=/m.so")
	f.Add("pkcs11:slot-id=1;id=%01?module-path=/m.so;module-path=/n.so")
	f.Fuzz(func(t *testing.T, uri string) {
		if strings.Contains(uri, "pin-source") {
			return // it reads files
		}
		l, err := parseURI(uri, func(n string) string { return map[string]string{"COSIGN_PKCS11_PIN": "1"}[n] })
		if err == nil && (!filepath.IsAbs(l.module) || l.pin == "" || (l.token == "") == (l.slot == nil) || l.label == nil && l.id == nil) {
			t.Errorf("%q: %+v", uri, l)
		}
	})
}
