package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits of one blame.
const (
	// MaxBlameLines is how many lines a file has at most.
	MaxBlameLines = 1 << 20
	// MaxBlameText is the largest file, in bytes: git does not cut larger ones into lines here.
	MaxBlameText = BigFile
)

// A BlameRequest asks which commits made the lines of a file.
type BlameRequest struct {
	Commit string // object id
	Path   string // from the root of the tree
	// Content, if it is not nil, stands in the place of what the commit has at the path.
	Content []byte
	// From and To, if they are not 0, limit the answer to these lines, counted from 1, both included.
	From, To int
}

// A BlameSource is one commit that made lines, with the file's name in it.
type BlameSource struct {
	Commit string // empty for lines of BlameRequest.Content that no commit has
	Path   string
	// Previous is the commit before, and PreviousPath the file's name there, from which the lines
	// did not come; empty if there was no such file.
	Previous, PreviousPath string
}

// A BlameLine is a line of the file.
type BlameLine struct {
	Source   int // index into Blame.Sources
	Original int // the line's number in that commit
	Number   int // its number in the file
	Text     []byte
}

// A Blame is the answer: each line with its source.
type Blame struct {
	Sources []BlameSource
	Lines   []BlameLine
}

// Blame runs git blame once. It follows renames of the whole file as git does, and neither lines
// that were moved nor white space.
func (r *Repo) Blame(ctx context.Context, req BlameRequest) (*Blame, error) {
	if err := r.checkOID(req.Commit); err != nil {
		return nil, err
	}
	commit, made := req.Commit, ""
	if req.Content != nil {
		if len(req.Content) > MaxBlameText {
			return nil, fmt.Errorf("git blame: %w: %d bytes, the limit is %d", ErrTooLarge, len(req.Content), MaxBlameText)
		}
		var err error
		if made, err = r.commitOver(ctx, req); err != nil {
			return nil, err
		}
		commit = made
	}
	args := []string{"blame", "--porcelain"}
	if req.From > 0 {
		span := strconv.Itoa(req.From) + ","
		if req.To > 0 {
			span += strconv.Itoa(req.To)
		}
		args = append(args, "-L"+span)
	}
	b := &Blame{}
	err := r.Stream(ctx, nil, func(out io.Reader) error { return b.read(out, r.IsOID) }, append(args, commit, "--", req.Path)...)
	if err != nil {
		return nil, err
	}
	for i := range b.Sources {
		if made != "" && b.Sources[i].Commit == made {
			b.Sources[i].Commit = ""
		}
	}
	return b, nil
}

// commitOver makes, in the private folder, a commit on top of req.Commit that has req.Content at
// req.Path. (Git's own way, --contents, takes no commit beside it before version 2.41.)
func (r *Repo) commitOver(ctx context.Context, req BlameRequest) (string, error) {
	var in bytes.Buffer
	fmt.Fprintf(&in, "feature done\ncommit refs/blame\nmark :1\ncommitter x <x> 0 +0000\ndata 0\nfrom %s\n", req.Commit)
	fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n", quotePath(req.Path), len(req.Content))
	in.Write(req.Content)
	in.WriteString("\nget-mark :1\ndone\n")
	out, err := r.Output(ctx, 1<<10, &in, "fast-import", "--quiet", "--force")
	if err != nil {
		return "", fmt.Errorf("take up what is not committed: %w", err)
	}
	id := strings.TrimSpace(string(out))
	if !r.IsOID(id) {
		return "", fmt.Errorf("take up what is not committed: unexpected answer %q", id)
	}
	return id, nil
}

var errBlame = errors.New("git blame: unexpected output")

// read reads what git blame --porcelain writes: for each line its commit, its number there and
// here; what the commit is, the first time; then a tab and the line.
func (b *Blame) read(out io.Reader, isOID func(string) bool) error {
	in := bufio.NewReaderSize(out, 256<<10)
	// A commit's headers are told once, but for the name of the file and what was before it, which
	// are told again where they differ.
	last := map[string]int{}
	known := map[BlameSource]int{}
	var cur BlameSource
	var line BlameLine
	text, head, told := 0, false, false
	for {
		raw, err := readBlameLine(in)
		if errors.Is(err, io.EOF) && len(raw) == 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errBlame, err)
		}
		switch {
		case !head:
			f := strings.Split(string(bytes.TrimSuffix(raw, []byte{'\n'})), " ")
			if len(f) < 3 || len(f) > 4 || !isOID(f[0]) {
				return fmt.Errorf("%w: %.200q", errBlame, raw)
			}
			var e1, e2 error
			line = BlameLine{}
			line.Original, e1 = strconv.Atoi(f[1])
			line.Number, e2 = strconv.Atoi(f[2])
			if e1 != nil || e2 != nil || line.Original < 1 || line.Number < 1 {
				return fmt.Errorf("%w: %.200q", errBlame, raw)
			}
			cur, head, told = BlameSource{Commit: f[0]}, true, false
		case raw[0] == '\t':
			at, seen := last[cur.Commit]
			if told || !seen {
				if cur.Path == "" && seen {
					cur.Path = b.Sources[at].Path
				}
				if at, seen = known[cur]; !seen {
					at = len(b.Sources)
					b.Sources, known[cur] = append(b.Sources, cur), at
				}
				last[cur.Commit] = at
			}
			if b.Sources[at].Path == "" {
				return fmt.Errorf("%w: a line without a file", errBlame)
			}
			line.Source, line.Text = at, bytes.Clone(bytes.TrimSuffix(raw[1:], []byte{'\n'}))
			if text += len(line.Text); text > 2*MaxBlameText || len(b.Lines) >= MaxBlameLines {
				return fmt.Errorf("git blame: %w: more than %d lines or %d bytes", ErrTooLarge, MaxBlameLines, MaxBlameText)
			}
			b.Lines, head = append(b.Lines, line), false
		default:
			key, value, _ := strings.Cut(string(bytes.TrimSuffix(raw, []byte{'\n'})), " ")
			switch key {
			case "filename":
				told = true
				if cur.Path, err = Unquote(value); err != nil {
					return fmt.Errorf("%w: %.200q", errBlame, raw)
				}
			case "previous":
				told = true
				id, name, _ := strings.Cut(value, " ")
				if cur.PreviousPath, err = Unquote(name); err != nil || !isOID(id) {
					return fmt.Errorf("%w: %.200q", errBlame, raw)
				}
				cur.Previous = id
			}
		}
	}
	if head {
		return fmt.Errorf("%w: %w", errBlame, io.ErrUnexpectedEOF)
	}
	return nil
}

// readBlameLine returns the next line with its line feed.
func readBlameLine(in *bufio.Reader) ([]byte, error) {
	raw, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		if errors.Is(err, io.EOF) && len(raw) > 0 {
			err = io.ErrUnexpectedEOF // git ends every line
		}
		return raw, err
	}
	whole := bytes.Clone(raw)
	for errors.Is(err, bufio.ErrBufferFull) {
		raw, err = in.ReadSlice('\n')
		if whole = append(whole, raw...); len(whole) > 2*MaxBlameText {
			return nil, ErrTooLarge
		}
	}
	return whole, err
}
