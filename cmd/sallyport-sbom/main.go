// Command sallyport-sbom lists what lies in one archive, image, executable or folder, on behalf of
// sallyport. It is Syft, made to speak a small protocol and to do nothing else.
//
// It is a program and a module of its own, since Syft brings two hundred modules and 75 MiB, which
// neither sallyport nor whoever builds or tests it should pay for
// (docs/decisions/0017-sbom-helper.md). Package deep has the protocol and starts it.
//
// A process serves one request. It prepares what costs time and has nothing to do with the input,
// says that it is ready, and waits. When it is told the input, it first gives up what reading needs
// not: all files but the input and its own temporary folder, sockets, other programs, and more than
// its share of memory, disk and time. Then it reads, answers and ends. Syft never uses the network
// here, and starts no program.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"

	"github.com/sallyport-dev/sallyport/internal/base/helper"
	"github.com/sallyport-dev/sallyport/internal/scan/deep"
)

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) != 2 || args[1] != deep.Protocol {
		fmt.Fprintln(stderr, "sallyport-sbom: sallyport starts this program to look into archives, images and executables; it is of no use alone")
		return 64
	}
	ctx, err := syft.SetContextLicenseScanner(context.Background(), cataloging.DefaultLicenseConfig())
	if err == nil {
		err = say(stdout, deep.Hello{Protocol: deep.Protocol, Build: helper.Build(), Syft: syftVersion()})
	}
	if err != nil {
		fmt.Fprintln(stderr, "sallyport-sbom:", err)
		return 1
	}
	r, err := listen(stdin)
	if errors.Is(err, io.EOF) {
		return 0 // nobody asked
	}
	a := &deep.Answer{}
	if err == nil {
		a, err = answer(ctx, r)
	}
	if err != nil {
		a.Error = err.Error()
	}
	if err := say(stdout, a); err != nil {
		fmt.Fprintln(stderr, "sallyport-sbom:", err)
		return 1
	}
	return 0
}

// answer confines the process and reads the input. A panic is an answer too: the parsers are many.
func answer(ctx context.Context, r deep.Request) (a *deep.Answer, err error) {
	a = &deep.Answer{}
	if a.Confined, err = confine(r); err != nil {
		return a, fmt.Errorf("confine itself: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a parser failed: %.200v", p)
		}
	}()
	err = catalogue(ctx, r, a)
	return a, err
}

// listen reads the one request.
func listen(stdin io.Reader) (deep.Request, error) {
	var r deep.Request
	in := bufio.NewReaderSize(io.LimitReader(stdin, deep.MaxRequest), deep.MaxRequest)
	line, err := in.ReadSlice('\n')
	if err != nil {
		if len(line) > 0 {
			err = errors.New("the request is not one line")
		}
		return r, err
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("read the request: %w", err)
	}
	if r.Path == "" || r.Scratch == "" {
		return r, errors.New("the request names no input or no temporary folder")
	}
	return r, nil
}

func say(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func syftVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/anchore/syft" {
				return m.Version
			}
		}
	}
	return ""
}
