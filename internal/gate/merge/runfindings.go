package merge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/predicate"
)

// told is what one verified attestation says of a run that made a part of the change.
type told struct {
	attestation sallyport.Digest
	key         string
	run         predicate.AgentRun
}

// runFindings says what is wrong with the evidence of runs that made a part of the change, whether
// policy accepts it or not. That a run covers nothing is for others to say: these are signs that a
// supervisor was killed, that its key or record is in somebody else's hands, or that an agent got rid
// of its hooks.
func (g *Gate) runFindings(c *sallyport.Change, runs []*run, evidence []sallyport.Evidence) []sallyport.Finding {
	var all []told
	for _, ev := range evidence {
		if ev.Statement.PredicateType != predicate.AgentRunType {
			continue
		}
		p, err := predicate.DecodeAgentRun(ev.Statement.Predicate)
		if err == nil && p.Repository == g.Repository && (relied(runs, ev, p) || newRun(p).names(c)) {
			all = append(all, told{ev.Attestation, ev.Key, p})
		}
	}
	var found []sallyport.Finding
	seen := map[string]bool{}
	add := func(kind sallyport.FindingKind, severity sallyport.Severity, rule, run, text string) {
		sum := sha256.Sum256([]byte(string(kind) + "\x00" + rule + "\x00" + run))
		id := hex.EncodeToString(sum[:16])
		if !seen[id] {
			seen[id] = true
			found = append(found, sallyport.Finding{ID: id, Kind: kind, Rule: rule, Severity: severity, Commit: c.Head, Text: text, State: sallyport.FindingOpen})
		}
	}
	for i, t := range all {
		if !sealedIn(all, t) {
			add(sallyport.FindingRunUnsealed, sallyport.High, "no-seal", t.run.RunID, fmt.Sprintf(
				"run %s made a part of this and never ended: after %d entries of its record nobody knows what happened", t.run.RunID, t.run.Records))
		}
		if why := silent(t.run); why != "" {
			add(sallyport.FindingRunSilent, sallyport.High, "no-heartbeat", t.run.RunID, why)
		}
		for _, o := range all[:i] {
			if why := contradict(o, t); why != "" {
				add(sallyport.FindingRunForged, sallyport.Critical, "contradiction", o.run.RunID+" "+t.run.RunID, why)
			}
		}
	}
	return found
}

// fewCalls is how many calls of tools a run may have before their number says anything of its hooks.
const fewCalls = 10

// silent says why the hooks of a run have to have been silenced. Hooks tell of each call before and
// after it, and of the session. Calls that the vendor serves itself, or that were given up before they
// began, have none: so fewer events than half the calls is the bound, where there were some calls.
func silent(r predicate.AgentRun) string {
	h := r.Hooks
	if h == nil || !h.Installed {
		return ""
	}
	var calls int64
	for _, t := range r.Tools {
		if calls += t.Calls; calls < 0 {
			calls = math.MaxInt64
			break
		}
	}
	switch {
	case h.Events == 0 && calls > 0:
		return fmt.Sprintf("the agent's hooks were installed for run %s and never heard, in %d calls of tools", r.RunID, calls)
	case h.Events == 0 && r.Prompts != nil && r.Prompts.Requests > 0:
		return fmt.Sprintf("the agent's hooks were installed for run %s and never heard, in %d requests to models", r.RunID, r.Prompts.Requests)
	case calls >= fewCalls && h.Events < calls/2:
		return fmt.Sprintf("the agent's hooks were installed for run %s and heard %d times, in %d calls of tools", r.RunID, h.Events, calls)
	}
	return ""
}

// sealedIn reports whether the run that t is about was sealed by who signed t.
func sealedIn(all []told, t told) bool {
	for _, o := range all {
		if o.run.Sealed && o.key == t.key && o.run.RunID == t.run.RunID {
			return true
		}
	}
	return false
}

// contradict says how two attestations can't both be true.
func contradict(a, b told) string {
	same := a.run.RunID == b.run.RunID
	both := fmt.Sprintf("attestations %s and %s", a.attestation.Short(), b.attestation.Short())
	switch {
	case a.run.Sealed && b.run.Sealed && same && (a.run.Records != b.run.Records || a.run.RecordHead != b.run.RecordHead):
		return fmt.Sprintf("%s seal run %s with different records: one of them is forged", both, a.run.RunID)
	case a.run.Sealed && b.run.Sealed && !same && a.run.RecordHead == b.run.RecordHead:
		return fmt.Sprintf("%s seal runs %s and %s with one record: one of them is replayed", both, a.run.RunID, b.run.RunID)
	case a.run.Sealed != b.run.Sealed && same && a.key == b.key:
		seal, part := a.run, b.run
		if part.Sealed {
			seal, part = part, seal
		}
		if part.Records > seal.Records || part.Records == seal.Records && part.RecordHead != seal.RecordHead || part.Part > seal.Part {
			return fmt.Sprintf("%s: run %s was sealed with %d entries, and a checkpoint had %d", both, seal.RunID, seal.Records, part.Records)
		}
	}
	return ""
}
