package change

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/git"
)

// Bounds of [Differ.Held].
const (
	// MaxHeld is how many commits of the first-parent history are looked through, newest first.
	MaxHeld = 5_000
	// maxPathspecs is up to how many paths git is told to look for. It compares each entry with
	// each of them; of more, all entries are read, and compared here.
	maxPathspecs = 256
)

// Held returns the ids of the blobs, symlinks' among them, that the first-parent history of the
// commit base held at each of the paths, base included. Only the newest [MaxHeld] commits are
// looked through, and what the oldest of them found there. A path that held nothing is not in the
// map.
func (d *Differ) Held(ctx context.Context, base string, paths []sallyport.Path) (map[sallyport.Path]map[string]bool, error) {
	held, err := d.held(ctx, base, paths)
	if err != nil {
		return nil, fmt.Errorf("read what %s has held: %w", base, err)
	}
	return held, nil
}

func (d *Differ) held(ctx context.Context, base string, paths []sallyport.Path) (map[sallyport.Path]map[string]bool, error) {
	if err := d.historyOf(base); err != nil {
		return nil, err
	}
	held := map[sallyport.Path]map[string]bool{}
	if len(paths) == 0 {
		return held, nil
	}
	wanted := make(map[string]bool, len(paths))
	for _, p := range paths {
		wanted[string(p)] = true
	}
	add := func(name, mode, oid string) {
		if mode == modeNone || mode == modeSubmodule || !wanted[name] {
			return
		}
		p := sallyport.Path(name)
		if held[p] == nil {
			held[p] = map[string]bool{}
		}
		held[p][oid] = true
	}
	// Sparse: the bound is of the commits looked at, not of those that touch a path.
	err := d.repo.Stream(ctx, strings.NewReader(base+"\n"+pathspecs(wanted)), func(out io.Reader) error {
		return readHeld(out, d.repo.IsOID, func(e rawEntry) {
			add(e.path, e.oldMode, e.oldBlob)
			add(e.path, e.newMode, e.newBlob)
		})
	}, "log", "--first-parent", "--sparse", fmt.Sprintf("--max-count=%d", MaxHeld), "--diff-merges=first-parent", "--root",
		"--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-color", "--format=", "--stdin")
	if err != nil {
		return nil, err
	}
	// What none of those commits touched is there since before them, or not at all.
	for name := range wanted {
		if held[sallyport.Path(name)] != nil {
			continue
		}
		e, err := d.repo.Entry(ctx, base, name)
		if errors.Is(err, git.ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		if e.Mode != modeTree {
			add(name, e.Mode, e.OID)
		}
	}
	return held, nil
}

// modeTree is the mode of a folder.
const modeTree = "040000"

// pathspecs returns what to append to the standard input of git log so that it looks at these
// paths only, or nothing if it has to look at all: git reads a path per line there, and mends
// what it holds for an unclean path.
func pathspecs(names map[string]bool) string {
	if len(names) > maxPathspecs {
		return ""
	}
	var b strings.Builder
	b.WriteString("--\n")
	for name := range names {
		if name == "" || name != path.Clean(name) || name[0] == '/' || name == "." || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsAny(name, "\n\r\x00") {
			return ""
		}
		b.WriteString(name + "\n")
	}
	return b.String()
}

var errLog = errors.New("git log: unexpected output")

// readHeld reads what git log --raw -z --format= writes: for each entry its modes, blobs and
// status, and its path, each ended by a NUL byte.
func readHeld(in io.Reader, isOID func(string) bool, entry func(rawEntry)) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		head, err := r.ReadString(0)
		if errors.Is(err, io.EOF) && head == "" {
			return nil
		}
		name := ""
		if err == nil {
			name, err = r.ReadString(0)
		}
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: %w", errLog, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return err
		}
		f := strings.Split(strings.TrimSuffix(head, "\x00"), " ")
		if len(f) != 5 || len(f[0]) != 7 || f[0][0] != ':' || len(f[1]) != 6 || !isOID(f[2]) || !isOID(f[3]) || len(f[4]) != 1 || len(name) < 2 {
			return fmt.Errorf("%w: entry %q", errLog, head)
		}
		entry(rawEntry{
			oldMode: f[0][1:], newMode: f[1], oldBlob: f[2], newBlob: f[3], status: f[4][0],
			path: strings.TrimSuffix(name, "\x00"),
		})
	}
}
