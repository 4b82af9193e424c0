package advisory

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/sallyport-dev/sallyport"
)

// Entries are kept as lengths and bytes, in the order of their fields. A decoder that finds anything
// amiss says so once, at its end.

type encoder struct{ b []byte }

func (e *encoder) num(n uint64) { e.b = binary.AppendUvarint(e.b, n) }

func (e *encoder) text(s string) {
	e.num(uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) texts(ss []string) {
	e.num(uint64(len(ss)))
	for _, s := range ss {
		e.text(s)
	}
}

var severities = []sallyport.Severity{"", sallyport.Low, sallyport.Medium, sallyport.High, sallyport.Critical}

const (
	flagMalicious = 1 << iota
	flagGitOnly
)

func (e *encoder) entry(x *Entry) {
	e.text(x.ID)
	e.texts(x.Aliases)
	e.text(x.Summary)
	e.text(x.Name)
	e.num(uint64(x.Severity.Rank())) //nolint:gosec // 0 to 4
	var flags uint64
	if x.Malicious {
		flags |= flagMalicious
	}
	if x.GitOnly {
		flags |= flagGitOnly
	}
	e.num(flags)
	e.num(uint64(max(0, x.Modified.Unix()))) //nolint:gosec // not negative
	e.num(uint64(len(x.Ranges)))
	for _, r := range x.Ranges {
		semver := uint64(0)
		if r.Semver {
			semver = 1
		}
		e.num(semver)
		e.num(uint64(len(r.Events)))
		for _, v := range r.Events {
			e.num(uint64(v.Kind))
			e.text(v.Version)
		}
	}
	e.texts(x.Versions)
}

type decoder struct {
	b   []byte
	bad bool
}

var errBytes = errors.New("bytes that no entry has")

func (d *decoder) num() uint64 {
	n, k := binary.Uvarint(d.b)
	if k <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[k:]
	return n
}

// count is the number of items that follow, each of at least one byte.
func (d *decoder) count() int {
	n := d.num()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n) //nolint:gosec // no more than there are bytes
}

func (d *decoder) text() string { return string(d.bytes()) }

func (d *decoder) bytes() []byte {
	n := d.count()
	s := d.b[:n]
	d.b = d.b[n:]
	return s
}

func (d *decoder) texts() []string {
	n := d.count()
	out := make([]string, 0, min(n, 1024))
	for range n {
		if d.bad {
			break
		}
		out = append(out, d.text())
	}
	return out
}

func (d *decoder) entry() (x Entry) {
	x.ID, x.Aliases, x.Summary, x.Name = d.text(), d.texts(), d.text(), d.text()
	if n := d.num(); n < uint64(len(severities)) {
		x.Severity = severities[n]
	} else {
		d.bad = true
	}
	flags := d.num()
	d.bad = d.bad || flags > flagMalicious|flagGitOnly
	x.Malicious, x.GitOnly = flags&flagMalicious != 0, flags&flagGitOnly != 0
	if n := d.num(); n > 1<<40 {
		d.bad = true
	} else if n != 0 {
		x.Modified = time.Unix(int64(n), 0).UTC() //nolint:gosec // bounded above
	}
	for n := d.count(); n > 0 && !d.bad; n-- {
		r := Range{}
		switch d.num() {
		case 0:
		case 1:
			r.Semver = true
		default:
			d.bad = true
		}
		for k := d.count(); k > 0 && !d.bad; k-- {
			kind := d.num()
			if kind < uint64(Fixed) || kind > uint64(Limit) {
				d.bad = true
				break
			}
			r.Events = append(r.Events, Event{EventKind(kind), d.text()}) //nolint:gosec // bounded above
		}
		x.Ranges = append(x.Ranges, r)
	}
	x.Versions = d.texts()
	return x
}
