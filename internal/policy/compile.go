package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/sallyport-dev/sallyport"
)

// evalTimeout bounds one evaluation of one set.
const evalTimeout = 10 * time.Second

// gateRef returns the reference data.sallyport.GATE.name, without starting a parser.
func gateRef(gate sallyport.Gate, name string) ast.Ref {
	return ast.Ref{ast.DefaultRootDocument, ast.StringTerm("sallyport"), ast.StringTerm(string(gate)), ast.StringTerm(name)}
}

// An Evaluator holds compiled policy sets. It is safe for concurrent use.
type Evaluator struct {
	sets []*compiled
	data Data
	gate sallyport.Gate
}

// compiled is one set, ready to be asked.
type compiled struct {
	loaded   *loaded
	digest   sallyport.Digest
	compiler *ast.Compiler
	store    storage.Store
	rules    map[string]Rule
	denyRef  ast.Ref
	allowRef ast.Ref
	deny     ast.Body // nil if the set's manifest names an allow and no deny
	allow    ast.Body // nil if the set does not define allow
}

// Compile compiles sets, each on its own, with the settings of d. It fails if there is no set,
// if two have one name, and if any of them does not compile: a set that is left out because it
// is broken is a way around it.
func Compile(ctx context.Context, sets []Set, d Data) (*Evaluator, error) {
	if len(sets) == 0 {
		return nil, fmt.Errorf("%w: no policy set is configured", ErrEmpty)
	}
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("%w: settings: %w", ErrCompile, err)
	}
	e := &Evaluator{data: d}
	names := map[string]bool{settingsName: true}
	for _, s := range sets {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("compile policy: %w", err)
		}
		if names[s.Name] {
			return nil, fmt.Errorf("%w: two policy sets are named %q, or it is reserved", ErrCompile, s.Name)
		}
		names[s.Name] = true
		c, err := compileSet(s, d)
		if err != nil {
			return nil, err
		}
		gate := c.loaded.manifest.gate()
		if len(e.sets) > 0 && gate != e.gate {
			return nil, fmt.Errorf("%w: set %s judges the %s gate, and the others the %s gate", ErrCompile, s.Name, gate, e.gate)
		}
		e.gate = gate
		e.sets = append(e.sets, c)
	}
	if err := e.checkModes(); err != nil {
		return nil, err
	}
	return e, nil
}

// checkModes refuses the mode of a code that no set has: it would soften or harden nothing, and
// whoever wrote it thinks that it does.
func (e *Evaluator) checkModes() error {
	for _, code := range slices.Sorted(maps.Keys(e.data.Modes)) {
		known := code == CodePolicy || code == CodeNotAllowed ||
			slices.ContainsFunc(e.sets, func(c *compiled) bool { _, ok := c.rules[code]; return ok })
		if !known {
			return fmt.Errorf("%w: settings: rules: %q is no reason code of the policy sets in force", ErrCompile, clean(code))
		}
	}
	return nil
}

// settingsName is the name under which the settings stand beside the sets in Policies.
const settingsName = "settings"

// Policies names what judges, for the decision and for whoever approves: each set by its
// digest, in the order given to Compile, and the settings by that of [Data.Encode].
func (e *Evaluator) Policies() []sallyport.PolicySet {
	var list []sallyport.PolicySet
	for _, c := range e.sets {
		list = append(list, sallyport.PolicySet{Name: c.loaded.set.Name, Digest: c.digest})
	}
	return append(list, sallyport.PolicySet{Name: settingsName, Digest: sallyport.SHA256(e.data.Encode())})
}

func compileSet(s Set, d Data) (*compiled, error) {
	c, err := compileModules(s, d)
	if err != nil {
		return nil, err
	}
	if err := c.ask(); err != nil {
		return nil, err
	}
	return c, nil
}

// compileModules compiles a set without asking whether it can be asked anything.
func compileModules(s Set, d Data) (*compiled, error) {
	l, err := load(s)
	if err != nil {
		return nil, err
	}
	data, err := l.dataObject(d)
	if err != nil {
		return nil, err
	}
	v := l.manifest.version()
	c := &compiled{loaded: l, digest: s.Digest(), store: inmem.NewFromASTObject(data)}
	c.rules, err = l.ruleTable()
	if err != nil {
		return nil, err
	}
	c.compiler = ast.NewCompiler().
		WithCapabilities(capabilities(v)).
		WithDefaultRegoVersion(v).
		// A set that was written for v0 runs as it was written; what strictness asks for beyond
		// that (no unused variables, no deprecated functions) came later.
		WithStrict(v != ast.RegoV0).
		// Data at the place of a package would be merged into what its rules say.
		WithPathConflictsCheck(func(path []string) (bool, error) { return holds(data, path), nil })
	if c.compiler.Compile(l.modules); c.compiler.Failed() {
		return nil, fmt.Errorf("%w: set %s: %s", ErrCompile, s.Name, said(c.compiler.Errors))
	}
	return c, nil
}

// ask prepares the queries of the set's entry points.
func (c *compiled) ask() (err error) {
	deny, allow, stated := c.loaded.manifest.entrypoints()
	defined := func(ref ast.Ref) bool { return len(c.compiler.GetRules(ref)) > 0 }
	gate := c.loaded.manifest.gate()
	for _, ref := range []ast.Ref{gateRef(gate, "deny"), gateRef(gate, "allow")} {
		// A rule at the usual place that is not asked protects nothing.
		if stated && defined(ref) && !ref.Equal(deny) && !ref.Equal(allow) {
			return fmt.Errorf("%w: set %s defines %s, and its manifest's entrypoints leave it out", ErrCompile, c.loaded.set.Name, ref)
		}
	}
	if !stated && !defined(allow) {
		allow = nil
	}
	c.denyRef, c.allowRef = deny, allow
	for _, q := range []struct {
		ref  ast.Ref
		body *ast.Body
	}{{deny, &c.deny}, {allow, &c.allow}} {
		if q.ref == nil {
			continue
		}
		if !defined(q.ref) {
			return fmt.Errorf("%w: set %s does not define %s", ErrUndefined, c.loaded.set.Name, q.ref)
		}
		if *q.body, err = c.query(q.ref); err != nil {
			return err
		}
	}
	return nil
}

// holds reports whether data has a value at path.
func holds(data ast.Object, path []string) bool {
	var v ast.Value = data
	for _, key := range path {
		o, ok := v.(ast.Object)
		if !ok {
			return true // a value that is no object stands in the way
		}
		t := o.Get(ast.StringTerm(key))
		if t == nil {
			return false
		}
		v = t.Value
	}
	return true
}

// said returns what the library says in one line: the first of several errors.
func said(err error) string {
	var errs ast.Errors
	if !errors.As(err, &errs) || len(errs) == 0 {
		return oneLine(err.Error())
	}
	s := oneLine(errs[0].Error())
	if len(errs) > 1 {
		s += fmt.Sprintf(" (and %d more)", len(errs)-1)
	}
	return s
}

const answer = ast.Var("answer")

func (c *compiled) query(ref ast.Ref) (ast.Body, error) {
	body := ast.NewBody(ast.Equality.Expr(ast.NewTerm(answer), ast.NewTerm(ref)))
	q, err := c.compiler.QueryCompiler().Compile(body)
	if err != nil {
		return nil, fmt.Errorf("%w: set %s: %s", ErrCompile, c.loaded.set.Name, said(err))
	}
	return q, nil
}

// eval asks one query. It returns nil if the answer is undefined.
func (c *compiled) eval(ctx context.Context, body ast.Body, input *ast.Term) (v ast.Value, err error) {
	ctx, stop := context.WithTimeout(ctx, evalTimeout)
	defer stop()
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()
	defer func() {
		// Policy is foreign code on a large interpreter: a fault in it is one more way to have
		// no verdict, and must not take a server with it.
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("%w: set %s: the interpreter failed: %v", ErrEval, c.loaded.set.Name, p)
		}
	}()
	txn, err := c.store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: set %s: %w", ErrEval, c.loaded.set.Name, err)
	}
	defer c.store.Abort(ctx, txn)
	results, err := topdown.NewQuery(body).
		WithCompiler(c.compiler).
		WithStore(c.store).
		WithTransaction(txn).
		WithInput(input).
		WithCancel(cancel).
		WithStrictBuiltinErrors(true).
		Run(ctx)
	if ctxErr := ctx.Err(); ctxErr != nil {
		return nil, fmt.Errorf("%w: set %s: %w", ErrEval, c.loaded.set.Name, ctxErr)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: set %s: %s", ErrEval, c.loaded.set.Name, said(err))
	}
	switch len(results) {
	case 0:
		return nil, nil
	case 1:
		if t := results[0][answer]; t != nil {
			return t.Value, nil
		}
	}
	return nil, fmt.Errorf("%w: set %s: more than one answer", ErrEval, c.loaded.set.Name)
}
