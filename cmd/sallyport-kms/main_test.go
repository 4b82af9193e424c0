package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// What the program is not for is answered with an error in the protocol's own form.
func TestRefuses(t *testing.T) {
	const init = `"initOptions":{"protocolVersion":"v1","keyResourceID":"hashivault://k","hashFunc":5,"rpcOptions":{}}`
	for _, tt := range []struct{ request, says string }{
		{`{}`, "names no key or no method"},
		{`{"methodName":"publicKey"}`, "names no key or no method"},
		{`{` + init + `}`, "names no key or no method"},
		{`{` + init + `,"methodName":"createKey","createKey":{"algorithm":"x"}}`, "not offered"},
		{`{` + init + `,"methodName":"publicKey"}`, "says nothing about publicKey"},
		{`{` + init + `,"methodName":"signMessage","signMessage":{}}`, "says nothing about signMessage"},
		{`{` + strings.Replace(init, "hashivault", "somehsm", 1) + `,"methodName":"publicKey"}`, "names no service"},
		{`{` + strings.Replace(init, `"v1"`, `"v2"`, 1) + `,"methodName":"publicKey"}`, "version"},
		{`{` + strings.Replace(init, ":5", ":99", 1) + `,"methodName":"publicKey","publicKey":{"publicKeyOptions":{}}}`, "hash"},
		{`not JSON`, "invalid character"},
	} {
		var out, errs bytes.Buffer
		status := run([]string{"sallyport-kms", "v1", tt.request}, strings.NewReader(""), &out, &errs)
		var a struct{ ErrorMessage string }
		if err := json.Unmarshal(out.Bytes(), &a); err != nil || status != 1 || !strings.Contains(a.ErrorMessage, tt.says) {
			t.Errorf("%s: status %d, %s, want an error that says %q", tt.request, status, out.String(), tt.says)
		}
	}
	var out, errs bytes.Buffer
	if status := run([]string{"sallyport-kms"}, nil, &out, &errs); status != 64 || out.Len() != 0 || errs.Len() == 0 {
		t.Errorf("alone: status %d, %q, %q", status, out.String(), errs.String())
	}
}
