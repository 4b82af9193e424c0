package git

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const zeros, ones = "0000000000000000000000000000000000000000", "1111111111111111111111111111111111111111"

const pushCert = "certificate version 0.1\npusher SHA256:abc 1700000000 +0100\npushee file:///srv/x.git\nnonce 1700000000-abc\npush-option x=y\npush-option x=z\n\n" +
	zeros + " " + ones + " refs/heads/main\n" + ones + " " + zeros + " refs/heads/a b\n" +
	"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"

func TestParsePushCert(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"as git writes it", "", "", ""},
		{"another version", "version 0.1", "version 0.2", "it begins with"},
		{"not signed", "\n-----BEGIN", "\n", "not signed"},
		{"signed twice", "AAAA\n-----END", "AAAA\n-----BEGIN SSH SIGNATURE-----\n-----END", "two signatures"},
		{"two pushers", "\nnonce ", "\npusher bob\nnonce ", "header"},
		{"no pusher", "pusher SHA256:abc 1700000000 +0100\n", "", "no pusher"},
		{"two nonces", "\nnonce ", "\nnonce 1\nnonce ", "header"},
		{"an unknown header", "\nnonce ", "\nnonces ", "header"},
		{"a header without a value", "pushee file:///srv/x.git", "pushee", "header"},
		{"a ref twice", "refs/heads/a b", "refs/heads/main", "stands twice"},
		{"no refs", zeros + " " + ones + " refs/heads/main\n" + ones + " " + zeros + " refs/heads/a b\n", "", "names no ref"},
		{"a line that is no update", ones + " " + zeros + " refs/heads/a b", "x", "is not"},
		{"an update of no ref", "refs/heads/main", "main", "is not"},
		{"an id cut short", ones + " refs/heads/main", "11 refs/heads/main", "is not"},
		{"carriage returns", "\npushee", "\r\npushee", "bytes that no line has"},
		{"too large", "refs/heads/a b", "refs/heads/" + strings.Repeat("a", MaxPushCert), "the limit is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParsePushCert([]byte(strings.Replace(pushCert, tt.old, tt.new, 1)))
			if tt.want != "" {
				if !errors.Is(err, ErrPushCert) || !strings.Contains(err.Error(), tt.want) || c != nil {
					t.Errorf("got %v, %v, want an error with %q", c, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Nonce != "1700000000-abc" || len(c.Updates) != 2 || !c.Covers(PushedRef{ones, zeros, "refs/heads/a b"}) || c.Covers(PushedRef{zeros, ones, "refs/heads/a b"}) {
				t.Errorf("got %+v", c)
			}
			if string(c.Payload)+string(c.Signature) != pushCert || !strings.HasSuffix(string(c.Payload), "a b\n") {
				t.Errorf("signed is %q", c.Payload)
			}
		})
	}
}

// What parses is the payload and the signature, byte for byte, and covers what its payload names.
func FuzzParsePushCert(f *testing.F) {
	f.Add([]byte(pushCert))
	f.Add([]byte("certificate version 0.1\n\n-----BEGIN "))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParsePushCert(b)
		if err != nil {
			return
		}
		if !bytes.Equal(append(append([]byte{}, c.Payload...), c.Signature...), b) {
			t.Error("bytes are in neither the payload nor the signature")
		}
		for _, u := range c.Updates {
			if !c.Covers(u) || !bytes.Contains(c.Payload, []byte("\n"+u.Old+" "+u.New+" "+u.Ref+"\n")) {
				t.Errorf("the payload does not hold %+v", u)
			}
		}
	})
}
