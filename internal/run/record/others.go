package record

import (
	"fmt"

	"github.com/sallyport-dev/sallyport"
)

// others compares the record with what was signed about it and with what stands in the log.
func (v *verifier) others() {
	if v.broken {
		return // the chain proves nothing: what it leads to is no contradiction more
	}
	for _, a := range v.x.Attested {
		if v.attested(a) {
			v.rep.Attested++
		}
	}
	v.contradictions()
	for _, c := range v.x.Anchored {
		if v.anchored(c) {
			v.rep.Anchored++
		}
	}
}

// noted looks for the notes of erasures that the log holds: one that was taken back would make what it
// is about look lost, or kept.
func (v *verifier) noted() {
	for _, e := range v.x.Noted {
		if e.Record == v.r.id && (e.Number > len(v.found) || !same(e, v.found[e.Number-1])) {
			v.rep.bad(RolledBack, noteName(e.Number), "restore the newest backup of the folder erasures",
				"the log has a note of an erasure by %s that is not here, or says something else", e.By)
		}
	}
}

func same(a, b Erasure) bool {
	x, err := sallyport.EncodeJSON(a)
	y, err2 := sallyport.EncodeJSON(b)
	return err == nil && err2 == nil && string(x) == string(y)
}

// head returns the head after entry n. Of a record whose entries were erased, only the ends of
// segments are known.
func (v *verifier) head(n int64) (Head, bool) {
	if n == 0 {
		return v.r.id, true
	}
	h, ok := v.heads[n]
	return h, ok && h != Head{}
}

func (v *verifier) attested(a Attested) bool {
	place := "attestation " + a.Attestation.Short()
	const next = "sallyport evidence list shows who signed it; take it as evidence for nothing until this is explained"
	h := v.r.header
	head, known := v.head(a.Records)
	if a.Head == "" && !a.Sealed {
		return false // a checkpoint that says nothing of the record
	}
	switch {
	case a.Run != h.Run:
		v.rep.bad(Replayed, place, next, "it is about run %s, and what it seals is the record of run %s", a.Run, h.Run)
	case h.Repository != "" && a.Repository != h.Repository:
		v.rep.bad(Replayed, place, next, "it is about repository %s, and the record is of %s", a.Repository, h.Repository)
	case a.Records > v.at.seq:
		v.rep.bad(Truncated, place, nextBackup, "it was signed over %d entries, and %d are here", a.Records, v.at.seq)
	case known && head.String() != a.Head:
		v.rep.bad(Forged, place, next, "after entry %d it says %s, and the record leads to %s", a.Records, sallyport.Digest(a.Head).Short(), Short(head))
	case a.Sealed && a.Records < v.at.seq:
		v.rep.bad(Forged, place, next, "it seals %d entries, and %d are here", a.Records, v.at.seq)
	case a.Sealed && a.Prompts != "" && !v.gone && sallyport.Digest(a.Prompts) != v.at.prompts.digest():
		v.rep.bad(Forged, place, next, "it commits to other prompts than the record holds")
	default:
		return known
	}
	return false
}

// contradictions compares attestations with one another: a run ends once.
func (v *verifier) contradictions() {
	var first *Attested
	for i, a := range v.x.Attested {
		if !a.Sealed || a.Run != v.r.header.Run {
			continue
		}
		if first != nil && (a.Records != first.Records || a.Head != first.Head) {
			v.rep.bad(Forged, "attestation "+a.Attestation.Short(), "sallyport evidence list shows who signed them; take neither as evidence",
				"it seals run %s with %d entries, and attestation %s with %d", a.Run, a.Records, first.Attestation.Short(), first.Records)
		}
		first = &v.x.Attested[i]
	}
}

func (v *verifier) anchored(c Closed) bool {
	place := fmt.Sprintf("log: segment %d", c.Segment)
	if c.Record != v.r.id {
		if c.Run != "" && c.Run == v.r.header.Run {
			v.rep.bad(Replayed, place, nextBackup, "the log holds another record of run %s, %s: a run has one", c.Run, Short(c.Record))
		}
		return false
	}
	head, known := v.head(c.Records)
	switch {
	case c.Records > v.at.seq:
		v.rep.bad(RolledBack, place, "restore the newest backup of the folder; what it said after entry "+fmt.Sprint(v.at.seq)+" is in no other place",
			"the log has seen %d entries, and %d are here: an older state was put back, or the end cut off", c.Records, v.at.seq)
	case known && head != c.Head:
		v.rep.bad(Forged, place, nextBackup, "after entry %d the log has %s, and the record leads to %s", c.Records, Short(c.Head), Short(head))
	case c.Last && c.Records < v.at.seq:
		v.rep.bad(Forged, place, nextBackup, "the log has seen the end after %d entries, and %d are here", c.Records, v.at.seq)
	default:
		return known
	}
	return false
}
