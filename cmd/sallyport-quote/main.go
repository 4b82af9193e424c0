// Command sallyport-quote verifies quotes of confidential machines, on behalf of sallyport.
//
// It is a program of its own because Google's libraries parse AMD's and Intel's root certificates and
// register their messages when a program starts, and Go does that whether they are used or not
// (docs/decisions/0018-run-keys.md has the figures), and because quotes are foreign bytes: it is given
// no variables, no arguments and no file, reads one JSON document, package quote's Request, on standard
// input, and writes one Answer, which is the last line on standard output: the libraries log there. It opens no socket and asks nobody.
//
// What it verifies: the signature of the quote under a certificate of the chip that chains to the
// maker's root at the time that is asked about; that the report data is what the request says; that the
// machine is not debugged, and for AMD not migrated; and what the policy asks of measurement and
// firmware. What it does not: revocation lists, and Intel's list of which firmware is out of date, both
// of which are to be asked online.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/key/quote"
)

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "sallyport-quote: sallyport starts this program to verify the quote of a confidential machine; it is of no use alone")
		return 64
	}
	a := answer(stdin)
	if err := json.NewEncoder(stdout).Encode(a); err != nil {
		fmt.Fprintln(stderr, "sallyport-quote:", err)
		return 1
	}
	if a.Error != "" {
		return 1
	}
	return 0
}

// answer answers the request on stdin. The libraries are written with care and read hostile bytes all the same: a
// panic is a refusal.
func answer(stdin io.Reader) (a quote.Answer) {
	defer func() {
		if p := recover(); p != nil {
			a = refuse(quote.Malformed, "it cannot be read")
		}
	}()
	b, err := io.ReadAll(io.LimitReader(stdin, quote.MaxRequest+1))
	if err != nil {
		return refuse(quote.Malformed, err.Error())
	}
	r, err := quote.ParseRequest(b)
	if err != nil {
		return refuse(quote.Malformed, err.Error())
	}
	switch {
	case r.Kind == quote.SEVSNP && r.Policy.SEVSNP != nil:
		return verifySEV(r, nil)
	case r.Kind == quote.TDX && r.Policy.TDX != nil:
		return verifyTDX(r, nil)
	}
	return refuse(quote.Unwanted, fmt.Sprintf("the policy has no section for quotes of kind %.20q", r.Kind))
}

// refuse returns an answer that says why not, on one line.
func refuse(code, why string) quote.Answer {
	why = strings.Join(strings.Fields(strings.ToValidUTF8(why, "?")), " ")
	if len(why) > 300 {
		why = strings.ToValidUTF8(why[:300], "") + "…"
	}
	return quote.Answer{Code: code, Error: why}
}
