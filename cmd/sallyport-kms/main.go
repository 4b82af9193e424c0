// Command sallyport-kms asks key management services for signatures, on behalf of sallyport.
//
// It is a program of its own because the services' libraries are large and take time to
// initialise, and Go initialises what is linked, used or not: sallyport starts in a few
// milliseconds without them (docs/decisions/0015-kms-helper.md has the figures). It holds no key
// and keeps nothing. What it is told and what it answers is Sigstore's KMS plugin protocol, version
// 1: one JSON document as the second argument, the message on standard input, one JSON document on
// standard output. A key resource is named with its scheme:
//
//	awskms://HOST/KEY, gcpkms://projects/…, azurekms://VAULT/KEY, hashivault://KEY, openbao://KEY
//
// The protocol has methods that make keys. They are refused: whoever may sign need not be able to
// make keys, and sallyport never asks for it. Any other scheme is refused as well, so that the
// library does not go looking for plugins on $PATH.
//
// It starts no program. AWS's library would run what credential_process names in a configuration
// file, and a variable says which file that is, so that such a file is refused. Google's runs one only
// if a variable allows it, which sallyport does not pass on; Azure's may run az, from the system's
// folders.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/aws"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/azure"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/gcp"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
)

// schemes are the services whose clients are linked.
var schemes = []string{"awskms", "gcpkms", "azurekms", "hashivault", "openbao"}

// methods are those of the protocol that are answered.
var methods = []string{common.PublicKeyMethodName, common.SignMessageMethodName, common.DefaultAlgorithmMethodName, common.SupportedAlgorithmsMethodName}

// atMost bounds a request to a service whose caller set no deadline.
const atMost = 2 * time.Minute

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) != 3 || args[1] != common.ProtocolVersion {
		fmt.Fprintln(stderr, "sallyport-kms: sallyport starts this program when a --key names a key management service; it is of no use alone")
		return 64
	}
	if err := answer(args, stdin, stdout); err != nil {
		if err := handler.WriteErrorResponse(stdout, err); err != nil {
			fmt.Fprintln(stderr, "sallyport-kms:", err)
		}
		return 1
	}
	return 0
}

// answer writes an answer, or returns the error that is to be answered.
func answer(args []string, stdin io.Reader, stdout io.Writer) error {
	request, err := handler.GetPluginArgs(args)
	if err != nil {
		return err
	}
	if err := check(request); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	if d := request.InitOptions.CtxDeadline; d != nil {
		ctx, cancel = context.WithDeadline(ctx, *d)
		defer cancel()
	}
	if strings.HasPrefix(request.InitOptions.KeyResourceID, "awskms://") {
		if err := checkAWS(os.Getenv); err != nil {
			return err
		}
	}
	sv, err := kms.Get(ctx, request.InitOptions.KeyResourceID, request.InitOptions.HashFunc)
	if err != nil {
		return err
	}
	_, err = handler.Dispatch(stdout, stdin, request, sv)
	return err
}

// check refuses what the library would take on trust.
func check(r *common.PluginArgs) error {
	if r.InitOptions == nil || r.MethodArgs == nil {
		return errors.New("the request names no key or no method")
	}
	if v := r.InitOptions.ProtocolVersion; v != common.ProtocolVersion {
		return fmt.Errorf("the request is of version %.20q, this program speaks %s", v, common.ProtocolVersion)
	}
	if scheme, _, ok := strings.Cut(r.InitOptions.KeyResourceID, "://"); !ok || !slices.Contains(schemes, scheme) {
		return fmt.Errorf("%.100q names no service that is known here: %s", r.InitOptions.KeyResourceID, strings.Join(schemes, ", "))
	}
	if !slices.Contains(methods, r.MethodName) {
		return fmt.Errorf("the method %.50q is not offered", r.MethodName)
	}
	switch {
	case r.MethodName == common.PublicKeyMethodName && (r.PublicKey == nil || r.PublicKey.PublicKeyOptions == nil),
		r.MethodName == common.SignMessageMethodName && (r.SignMessage == nil || r.SignMessage.SignOptions == nil):
		return fmt.Errorf("the request says nothing about %s", r.MethodName)
	case !r.InitOptions.HashFunc.Available():
		return errors.New("the request names a hash that is not available")
	}
	return nil
}
