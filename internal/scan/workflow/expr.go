package workflow

import (
	"strings"
)

// exprs returns the insides of the ${{ … }} of s. One that does not end reaches to the end.
func exprs(s string) []string {
	var out []string
	for {
		i := strings.Index(s, "${{")
		if i < 0 {
			return out
		}
		s = s[i+3:]
		end, quote := len(s), false
		for j := 0; j < len(s); j++ {
			if s[j] == '\'' {
				quote = !quote
			}
			if !quote && strings.HasPrefix(s[j:], "}}") {
				end = j
				break
			}
		}
		if quote { // a lone quotation mark must not hide what follows
			if j := strings.Index(s, "}}"); j >= 0 {
				end = j
			}
		}
		out = append(out, s[:end])
		s = s[min(len(s), end+2):]
	}
}

// flows returns the contexts whose text can reach the value of an expression, each in one
// spelling: small letters, dots between the parts, "*" for a part that is computed. What is only
// compared or searched does not flow. An expression that cannot be read yields every path that
// seems to stand in it.
func flows(expr string) []string {
	p := exprParser{s: strings.ToLower(expr)}
	out := p.or(0)
	p.space()
	if p.failed || p.i < len(p.s) {
		return anyPaths(p.s)
	}
	return out
}

// anyPaths is the fallback of flows.
func anyPaths(s string) []string {
	s = strings.NewReplacer("['", ".", `["`, ".", "']", "", `"]`, "", " ", "").Replace(s)
	return strings.FieldsFunc(s, func(r rune) bool {
		return !(r == '.' || r == '_' || r == '-' || r == '*' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
	})
}

// An exprParser reads GitHub's expressions, by precedence: || && == != < > ! and postfix.
type exprParser struct {
	s      string
	i      int
	failed bool
}

// maxExprDepth bounds nesting.
const maxExprDepth = 64

func (p *exprParser) space() {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
}

// take skips the operator op if it is next.
func (p *exprParser) take(op string) bool {
	p.space()
	if strings.HasPrefix(p.s[p.i:], op) {
		p.i += len(op)
		return true
	}
	return false
}

func (p *exprParser) or(depth int) []string {
	if depth > maxExprDepth {
		p.failed = true
		return nil
	}
	out := p.and(depth)
	for !p.failed && p.take("||") {
		out = append(out, p.and(depth)...)
	}
	return out
}

// and: the value is the right side, or a left side that is false and says nothing.
func (p *exprParser) and(depth int) []string {
	out := p.compare(depth)
	for !p.failed && p.take("&&") {
		out = p.compare(depth)
	}
	return out
}

func (p *exprParser) compare(depth int) []string {
	out := p.unary(depth)
	for !p.failed {
		switch {
		case p.take("=="), p.take("!="), p.take("<="), p.take(">="), p.take("<"), p.take(">"):
			p.unary(depth)
			out = nil
		default:
			return out
		}
	}
	return out
}

func (p *exprParser) unary(depth int) []string {
	p.space()
	if p.i < len(p.s) && p.s[p.i] == '!' && !strings.HasPrefix(p.s[p.i:], "!=") {
		p.i++
		if depth > maxExprDepth {
			p.failed = true
			return nil
		}
		p.unary(depth + 1)
		return nil
	}
	return p.postfix(depth)
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

func (p *exprParser) word() string {
	start := p.i
	for p.i < len(p.s) && isWord(p.s[p.i]) {
		p.i++
	}
	return p.s[start:p.i]
}

// quoted reads a string, whose quotation marks double inside it.
func (p *exprParser) quoted() (string, bool) {
	if p.i >= len(p.s) || p.s[p.i] != '\'' {
		return "", false
	}
	var b strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		if p.s[p.i] == '\'' {
			if p.i+1 < len(p.s) && p.s[p.i+1] == '\'' {
				p.i++
			} else {
				p.i++
				return b.String(), true
			}
		}
		b.WriteByte(p.s[p.i])
	}
	p.failed = true
	return "", false
}

// deaf are functions whose result holds nothing of their arguments.
var deaf = set("contains startswith endswith hashfiles success failure always cancelled")

func (p *exprParser) postfix(depth int) []string {
	p.space()
	var out []string
	switch {
	case p.i >= len(p.s):
		p.failed = true
		return nil
	case p.s[p.i] == '(':
		p.i++
		out = p.or(depth + 1)
		if !p.take(")") {
			p.failed = true
		}
	case p.s[p.i] == '\'':
		p.quoted()
	default:
		name := p.word()
		if name == "" {
			p.failed = true
			return nil
		}
		if p.take("(") {
			out = p.arguments(name, depth)
		} else if c := name[0]; c == '_' || c >= 'a' && c <= 'z' {
			if name != "true" && name != "false" && name != "null" && name != "nan" && name != "infinity" {
				out = []string{name}
			}
		} else { // a number, of which the part after the point is no member
			for p.i < len(p.s) && (p.s[p.i] == '.' || p.s[p.i] == '+' || isWord(p.s[p.i])) {
				p.i++
			}
			return nil
		}
	}
	for !p.failed {
		switch {
		case p.take("."):
			p.space()
			part := "*"
			if !p.take("*") {
				if part = p.word(); part == "" {
					p.failed = true
					return nil
				}
			}
			extend(out, part)
		case p.take("["):
			p.space()
			part := "*"
			if s, ok := p.quoted(); ok {
				part = s
			} else if !p.take("*") {
				p.or(depth + 1) // an index that is computed stands for any
			}
			if !p.take("]") {
				p.failed = true
			}
			extend(out, part)
		default:
			return out
		}
	}
	return out
}

func (p *exprParser) arguments(name string, depth int) []string {
	var out []string
	for first := true; !p.failed; first = false {
		if p.take(")") {
			break
		}
		if !first && !p.take(",") {
			p.failed = true
			return nil
		}
		out = append(out, p.or(depth+1)...)
	}
	if deaf[name] {
		return nil
	}
	return out
}

func extend(paths []string, part string) {
	for i := range paths {
		if len(paths[i]) < 512 {
			paths[i] += "." + part
		}
	}
}

// eventText are the parts of an event that a stranger writes. "*" stands for one part.
var eventText = splitPaths(`
github.event.issue.title github.event.issue.body
github.event.pull_request.title github.event.pull_request.body
github.event.pull_request.head.ref github.event.pull_request.head.label
github.event.pull_request.head.repo.default_branch github.event.pull_request.head.repo.description
github.event.pull_request.head.repo.homepage
github.event.comment.body github.event.review.body github.event.review_comment.body
github.event.discussion.title github.event.discussion.body github.event.discussion_comment.body
github.event.pages.*.page_name github.event.pages.*.title
github.event.commits.*.message github.event.commits.*.author.name github.event.commits.*.author.email
github.event.commits.*.committer.name github.event.commits.*.committer.email
github.event.commits.*.added github.event.commits.*.modified github.event.commits.*.removed
github.event.head_commit.message github.event.head_commit.author.name github.event.head_commit.author.email
github.event.head_commit.committer.name github.event.head_commit.committer.email
github.event.head_commit.added github.event.head_commit.modified
github.event.commit.message github.event.merge_group.head_commit.message
github.event.workflow_run.head_branch github.event.workflow_run.head_commit.message github.event.workflow_run.display_title
github.event.workflow_run.head_commit.author.name github.event.workflow_run.head_commit.author.email
github.event.workflow_run.head_repository.description github.event.workflow_run.pull_requests.*.head.ref
github.event.check_suite.head_branch github.event.check_run.check_suite.head_branch
github.event.changes.title.from github.event.changes.body.from
github.event.forkee.description github.event.forkee.name
github.head_ref`)

// branchText is chosen by whoever may push.
var branchText = splitPaths(`github.ref_name github.ref github.event.ref github.event.release.name github.event.release.body
github.event.release.tag_name github.event.client_payload github.event.create.ref`)

func splitPaths(s string) [][]string {
	var out [][]string
	for _, p := range strings.Fields(s) {
		out = append(out, strings.Split(p, "."))
	}
	return out
}

// overlaps reports whether what path names holds, or is part of, what one of the patterns names.
func overlaps(path string, patterns [][]string) bool {
	parts := strings.Split(path, ".")
	for _, pattern := range patterns {
		ok := true
		for i := range min(len(parts), len(pattern)) {
			if parts[i] != pattern[i] && parts[i] != "*" && pattern[i] != "*" {
				ok = false
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}
