// Command sallyport-pkcs11 asks a token or HSM for signatures through its PKCS #11 module, on
// behalf of sallyport.
//
// It is a program of its own because a module is a shared library, which takes cgo to load, and
// sallyport is built without. It speaks the same protocol as sallyport-kms: Sigstore's KMS plugin
// protocol, version 1. The key resource is a URI of RFC 7512, as cosign takes it:
//
//	pkcs11:token=LABEL;object=LABEL?module-path=/usr/lib/…/module.so
//
// slot-id names the slot where token does not suffice, and id the key (percent-encoded bytes)
// where object does not. A module-path that is missing is taken from COSIGN_PKCS11_MODULE_PATH,
// the PIN from COSIGN_PKCS11_PIN, or from the file that pin-source names. An attribute that is not
// listed here is refused: one that was meant to narrow the choice must not be passed over.
//
// A module runs with all rights of whoever starts it, so its path is absolute and comes from the
// command line or the environment of that person, never from a repository.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) != 3 || args[1] != common.ProtocolVersion {
		fmt.Fprintln(stderr, "sallyport-pkcs11: sallyport starts this program when a --key is a pkcs11: URI; it is of no use alone")
		return 64
	}
	if err := answer(args, stdin, stdout); err != nil {
		if err := handler.WriteErrorResponse(stdout, err); err != nil {
			fmt.Fprintln(stderr, "sallyport-pkcs11:", err)
		}
		return 1
	}
	return 0
}
