// Package identity says who acted: a person, an agent, a bot, or nobody.
//
// What it knows comes from three places: the roster (.sallyport/roster.yaml, see [Roster]), the
// marker table of how agents sign their work (data/agent-markers.json), and the commit's own
// signature, which is really verified. [Identifier.Commit] weighs them in this order:
//
//  1. Agent, if anything about the commit names one: a trailer, the author, the committer, the
//     text of the message, an address that the roster gives to an agent. No signature outweighs
//     that, because the agent has its operator's keys. The grade is declared: a mark is a lower
//     bound of what agents did, never proof of who did it.
//  2. Nobody, if a name or address has a forged shape, or a tool that records agents' sessions
//     left its trailer: whatever else the commit says is then not believed.
//  3. Bot, if a signature verifies under the key or the certificate's identity of a bot whose
//     time has not run out and the author's address is that bot's. An address alone is never a
//     bot.
//  4. Person, if a signature verifies under a person's key or identity that has not expired, and
//     the author's address is that person's. The grade is present for an SSH security key that
//     somebody touched and that another person enrolled, else declared: an ordinary key proves
//     the machine, and the agent has that. OpenPGP and X.509 signatures prove no touch and are
//     always declared.
//  5. Nobody in every other case: unsigned, signed by an unknown, expired or revoked key, signed
//     by one and authored by another, signed in a way that cannot be verified here. Nobody is
//     judged as an agent.
//
// [Identifier.Unit] folds the commits that may have made a change unit into one attribution,
// the strictest: agent before nobody before bot before person.
//
// A mere name is neither a mark nor a finding; more than a thousand people in the measured
// corpus are called Claude, Devin, Jules or Cody. Findings are about the shape of addresses:
// an agent's name with an address like its own, a bot's login with another's number, look-alike
// letters, a signature that does not verify.
//
// Everything that is repeated from a commit is quoted where it could disturb a terminal. The
// package reads no file and keeps no time: the roster's bytes and the enforcement point's clock
// are given.
package identity

import (
	"fmt"
	"slices"
	"sync"
	"time"

	sallyport "github.com/sallyport-dev/sallyport"
)

// An Identifier attributes commits and change units at one moment, by one roster. It is safe for
// concurrent use.
type Identifier struct {
	// X509 verifies the X.509 signatures of commits. If it is nil, none is. It is set before the
	// Identifier is used.
	X509 X509Verifier

	roster *Roster
	now    time.Time
	table  *table // nil: the one that is built in

	mu     sync.Mutex
	actors map[string]*actor // guarded by mu
}

// New returns an Identifier. A nil roster knows nobody; now is the enforcement point's time, by
// which keys and bots expire.
func New(roster *Roster, now time.Time) *Identifier {
	if roster == nil {
		roster = new(Roster)
	}
	return &Identifier{roster: roster, now: now, actors: map[string]*actor{}}
}

// A Result is what a commit says about who made it.
type Result struct {
	Attribution    sallyport.Attribution
	SignatureCheck sallyport.SignatureCheck
	Findings       []sallyport.Finding // of kind identity

	// Claimed are the roster ids and the folded addresses of everybody whom the commit names as
	// author, committer, co-author or signer, sorted. None of them may approve it.
	Claimed []string
}

// A commit can name an agent ten thousand times. These bound the sentences of its attribution
// and its findings under one rule; all findings under one rule are equally severe.
const (
	maxWhy      = 16
	maxFindings = 16
)

// gather collects what one commit says.
type gather struct {
	id      *Identifier
	commit  sallyport.Digest
	marks   []mark   // of agents
	traced  []string // of tools that record agents' sessions
	bots    []string // logins of automation, unverified
	why     []string // a sentence for each mark of an agent
	more    int      // sentences that found no room
	claimed []string
	forged  []string
	result  Result
}

// Commit says who made c. It never fails: what cannot be established is Nobody.
func (id *Identifier) Commit(c *sallyport.Commit) Result {
	g := &gather{id: id, commit: c.ID}
	author := id.actor(c.Author.Name, c.Author.Email, false)
	committer := id.actor(c.Committer.Name, c.Committer.Email, false)
	g.actor("author", author)
	g.claim(author)
	if committer != author {
		g.actor("committer", committer)
		g.claim(committer)
	}
	g.message(c)
	check, signer := id.checkSignature(c)
	if check.State == sallyport.SignatureBad {
		g.find(ruleBadSignature, sallyport.High, string(c.ID),
			"the commit carries a signature that does not verify: "+check.Detail)
	}
	if signer.id != "" {
		g.claimed = append(g.claimed, signer.id)
	}
	g.result.SignatureCheck = check
	g.result.Attribution = g.decide(author, committer, check, signer)
	slices.Sort(g.claimed)
	g.result.Claimed = slices.Compact(g.claimed)
	return g.result
}

// actor takes what a name and address say in one place of the commit.
func (g *gather) actor(where string, a *actor) {
	for _, m := range a.marks {
		g.mark(m, where+" is "+a.text)
	}
	for _, s := range a.shapes {
		if len(g.forged) < maxWhy {
			g.forged = appendNew(g.forged, where+" "+s.what+" has "+s.why)
		}
		g.find(s.rule, s.severity, where+"\x00"+s.what, where+" "+s.what+" has "+s.why)
	}
}

// mark takes one mark and the sentence that shows it.
func (g *gather) mark(m mark, seen string) {
	switch m.kind {
	case kindAgent, kindReviewer:
		g.addMark(m)
		if len(g.why) < maxWhy {
			g.why = appendNew(g.why, seen+": a mark of "+m.agent)
		} else {
			g.more++
		}
	case kindTrace:
		g.traced = appendNew(g.traced, m.agent)
	case kindBot:
		if m.agent != "any-github-app" {
			g.bots = appendNew(g.bots, m.agent)
		}
	}
}

// addMark keeps one mark for each agent, with the first model that was claimed.
func (g *gather) addMark(m mark) {
	for i := range g.marks {
		if have := &g.marks[i]; have.agent == m.agent {
			if have.model == "" {
				have.model = m.model
			}
			return
		}
	}
	g.marks = append(g.marks, m)
}

// claim takes somebody whom the commit names as one of its makers.
func (g *gather) claim(a *actor) {
	if a.email != "" {
		g.claimed = append(g.claimed, a.email)
	}
	if a.owner.id != "" {
		g.claimed = append(g.claimed, a.owner.id)
	}
}

// find adds a finding once. Its id is of what was found and not of the commit, so that it stays
// the same through a rebase.
func (g *gather) find(rule string, severity sallyport.Severity, what, text string) {
	sum := sallyport.SHA256([]byte(string(sallyport.FindingIdentity) + "\x00" + rule + "\x00" + what)).Hex()
	same := 0
	for _, f := range g.result.Findings {
		if f.Rule == rule {
			same++
		}
		if f.ID == sum[:32] || same >= maxFindings {
			return
		}
	}
	g.result.Findings = append(g.result.Findings, sallyport.Finding{
		ID: sum[:32], Kind: sallyport.FindingIdentity, Rule: rule, Severity: severity,
		Commit: g.commit, Text: text, State: "open",
	})
}

// decide weighs what was gathered, in the order of the package's documentation.
func (g *gather) decide(author, committer *actor, check sallyport.SignatureCheck, signer owner) sallyport.Attribution {
	if len(g.marks) > 0 {
		return g.agent(author)
	}
	contra := slices.Clone(g.forged)
	for _, t := range g.traced {
		contra = append(contra, "carries a trailer of "+t+", which records agents' sessions, and names no agent")
	}
	good := check.State == sallyport.SignatureGood
	if good && len(contra) == 0 {
		contra = contradictions(author, committer, signer)
	}
	if !good || len(contra) > 0 {
		return sallyport.Attribution{Why: append(contra, g.unproved(author, check, good, signer)...)}
	}
	who := sallyport.Principal{Kind: signer.kind, Name: signer.id}
	if signer.kind == sallyport.Bot {
		return sallyport.Attribution{Principal: who, Grade: sallyport.Declared,
			Why: []string{"signed with " + check.Key + ", a key of bot " + signer.id}}
	}
	return sallyport.Attribution{Principal: who, Grade: check.Grade, Why: []string{proof(check, signer)}}
}

// proof says what a person's good signature proves.
func proof(check sallyport.SignatureCheck, signer owner) string {
	s := "signed with " + check.Key
	switch {
	case check.Grade == sallyport.Present && signer.key.Simulated:
		return s + ", a simulated security key of " + signer.id + " that " + signer.key.enrolment()
	case check.Grade == sallyport.Attested:
		return s + ", a security key of " + signer.id + " that was touched, " + signer.key.enrolment() + " and is attested by its maker"
	case check.Grade == sallyport.Present:
		return s + ", a security key of " + signer.id + " that was touched and " + signer.key.enrolment()
	case check.Detail != "":
		return s + ", a key of " + signer.id + ": " + check.Detail
	}
	return s + ", an ordinary key of " + signer.id
}

// contradictions lists why a good signature does not make its owner the author.
func contradictions(author, committer *actor, signer owner) (why []string) {
	if !author.owner.is(signer) {
		s := "signed by " + signer.id + ", but the author is " + author.text
		if author.owner.id == "" {
			s += ", whom the roster does not know"
		}
		why = append(why, s)
	}
	if committer.owner.id != "" && !committer.owner.is(signer) {
		why = append(why, "signed by "+signer.id+", but the committer is "+committer.text)
	}
	return why
}

func (o owner) is(other owner) bool { return o.kind == other.kind && o.id == other.id }

// unproved says what the commit claims to be and does not prove.
func (g *gather) unproved(author *actor, check sallyport.SignatureCheck, good bool, signer owner) []string {
	var says string
	switch {
	case author.owner.id != "":
		says = "says it is " + author.owner.id
	case len(g.bots) > 0:
		says = "says it is " + g.bots[0]
	default:
		says = "says it is " + author.text
	}
	switch {
	case good:
		return []string{says + ", signed by " + signer.id}
	case check.State == sallyport.SignatureNone:
		says += ", unsigned"
	case check.Detail != "":
		says += ", " + check.Detail
	default:
		says += ", signature " + check.State
	}
	if author.owner.kind == sallyport.Bot || author.owner.id == "" && len(g.bots) > 0 {
		says += "; a bot is known by a signature under its key in the roster alone"
	}
	return []string{says}
}

// agent makes the attribution of a commit that names one or more agents. If several are named,
// it is the one that the roster does not approve.
func (g *gather) agent(author *actor) sallyport.Attribution {
	best, rank := g.marks[0], -1
	var operators []string
	for _, m := range g.marks {
		ops, approved := g.id.roster.AgentApproved(m.agent)
		r := 1
		switch {
		case m.agent == Unnamed:
			r = 0
		case !approved:
			r = 2
		}
		if r > rank {
			best, rank, operators = m, r, ops
		}
	}
	a := sallyport.Attribution{
		Principal: sallyport.Principal{Kind: sallyport.Agent, Name: best.agent},
		Grade:     sallyport.Declared,
		Model:     best.model,
		Why:       g.why,
	}
	switch {
	case len(operators) == 1:
		a.Operator = operators[0]
	case author.owner.kind == sallyport.Person:
		a.Operator = author.owner.id
	}
	if g.more > 0 {
		a.Why = append(a.Why, fmt.Sprintf("and %d more marks", g.more))
	}
	return a
}
