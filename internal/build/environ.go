package build

import (
	"slices"
	"strings"
)

// secretWords are parts of the names of variables that hold secrets, between underscores or alone.
var secretWords = []string{
	"AUTH", "AUTHORIZATION", "BEARER", "CERT", "COOKIE", "COOKIES", "CRED", "CREDENTIAL", "CREDENTIALS", "CREDS", "DSN", "JWT", "KEY", "KEYS",
	"LOGIN", "NETRC", "OTP", "PASS", "PASSPHRASE", "PASSWD", "PASSWORD", "PAT", "PIN", "PRIVATE", "PW", "PWD", "SAS", "SECRET", "SECRETS",
	"SEED", "SESSION", "SIGNATURE", "SSH", "TOKEN", "TOKENS", "WEBHOOK",
}

// secretParts mark a name wherever they stand in it: GITHUBTOKEN, mysecret2.
var secretParts = []string{"APIKEY", "CREDENTIAL", "PASSPHRASE", "PASSWD", "PASSWORD", "PRIVATEKEY", "SECRET", "TOKEN"}

// notSecret are names that have such a word and hold none.
var notSecret = []string{"PWD", "OLDPWD"}

// SecretName reports whether a variable of that name is taken to hold a secret, so that its value may
// be in no statement.
func SecretName(name string) bool {
	upper := strings.ToUpper(name)
	if slices.Contains(notSecret, upper) {
		return false
	}
	for _, p := range secretParts {
		if strings.Contains(strings.ReplaceAll(upper, "_", ""), p) {
			return true
		}
	}
	return slices.ContainsFunc(strings.FieldsFunc(upper, func(r rune) bool { return r < 'A' || r > 'Z' }), func(w string) bool {
		return slices.Contains(secretWords, w)
	})
}

// Without returns the environment without the variables of these names.
func Without(environ []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(names, name)
	})
}
