package strict

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// A NodeKind says what a [Node] is.
type NodeKind int

// The kinds of node.
const (
	NullNode NodeKind = iota
	ScalarNode
	MapNode
	SeqNode
)

// A Node is a piece of somebody else's YAML with its place, for readers that have to say where
// something stands. Aliases and merge keys have been resolved, so that one Node may hang in the
// tree at several places; nothing in the tree is changed after [YAMLNodes] returns.
type Node struct {
	Kind  NodeKind
	Value string // of a scalar, decoded
	Tag   string // such as "!reference"; empty if there is none
	Line  int    // where it starts, 1-based; of a block scalar, its first line of text
	Block bool   // a literal or folded scalar, whose text starts on the next line
	Pairs []Pair // of a map, in order, merged keys last
	Items []*Node
	size  int // nodes below and with it, aliases counted each time
}

// A Pair is one key of a map.
type Pair struct {
	Key   string
	Line  int
	Value *Node
}

// Get returns the value under key, or nil. It may be asked of nil.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Pairs {
		if n.Pairs[i].Key == key {
			return n.Pairs[i].Value
		}
	}
	return nil
}

// Text returns the value of a scalar and "" of anything else. It may be asked of nil.
func (n *Node) Text() string {
	if n == nil || n.Kind != ScalarNode {
		return ""
	}
	return n.Value
}

// maxNodes bounds a tree, each use of an alias counted as if its anchor were written out: nine
// short lines of aliases would otherwise make a tree that no walk ends.
const maxNodes = 100_000

// Bounds of foreign YAML. The parser compares each key of a map with all others: 60,000 of them held
// it for minutes. The largest workflows that people write have a tenth of either.
const (
	maxForeignLines  = 20_000
	maxForeignColons = 10_000
)

// checkForeign refuses what would hold the parser for long.
func checkForeign(b []byte) error {
	if n := bytes.Count(b, []byte("\n")); n > maxForeignLines {
		return fmt.Errorf("%w: %d lines, the limit is %d", ErrTooLarge, n, maxForeignLines)
	}
	if n := bytes.Count(b, []byte(":")); n > maxForeignColons {
		return fmt.Errorf("%w: %d colons, the limit is %d", ErrTooLarge, n, maxForeignColons)
	}
	return nil
}

// YAMLNodes parses the documents of b, at most limit bytes. It takes what foreign files need and
// [YAML] refuses: several documents, anchors, aliases, merge keys and tags. A key that stands
// twice, an alias that nothing defines and a tree over its bound are errors.
func YAMLNodes(b []byte, limit int) (docs []*Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			docs, err = nil, errors.New("the document cannot be read")
		}
	}()
	if err := checkSize(b, limit); err != nil {
		return nil, err
	}
	if err := checkYAMLDepth(b); err != nil {
		return nil, err
	}
	if err := checkForeign(b); err != nil {
		return nil, err
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, oneLine(err)
	}
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		t := tree{anchors: map[string]*Node{}}
		n, err := t.node(d.Body, 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
	if len(docs) == 0 {
		return nil, errors.New("the document is empty")
	}
	return docs, nil
}

// A tree is one document while it is converted.
type tree struct {
	anchors map[string]*Node
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

func (t *tree) node(n ast.Node, depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: nested too deeply", lineOf(n))
	}
	out := &Node{Line: lineOf(n), size: 1}
	switch v := n.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		out.Kind, out.Value = ScalarNode, v.Value
	case *ast.LiteralNode:
		out.Kind, out.Value, out.Line, out.Block = ScalarNode, v.Value.Value, v.Start.Position.Line+1, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		out.Kind, out.Value = ScalarNode, n.GetToken().Value
	case *ast.MappingNode:
		out.Kind = MapNode
		return out, t.pairs(out, v.Values, depth)
	case *ast.MappingValueNode:
		out.Kind = MapNode
		return out, t.pairs(out, []*ast.MappingValueNode{v}, depth)
	case *ast.SequenceNode:
		out.Kind = SeqNode
		for _, e := range v.Values {
			item, err := t.node(e, depth+1)
			if err != nil {
				return nil, err
			}
			if err := out.grow(item, e); err != nil {
				return nil, err
			}
			out.Items = append(out.Items, item)
		}
	case *ast.AnchorNode:
		inner, err := t.node(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		t.anchors[v.Name.String()] = inner // only now, so that it cannot hold itself
		return inner, nil
	case *ast.AliasNode:
		inner := t.anchors[v.Value.String()]
		if inner == nil {
			return nil, fmt.Errorf("line %d: an alias without an anchor before it", out.Line)
		}
		return inner, nil
	case *ast.TagNode:
		inner, err := t.node(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		tagged := *inner
		tagged.Tag = v.Start.Value
		return &tagged, nil
	default:
		return nil, fmt.Errorf("line %d: %s is not read", out.Line, n.Type())
	}
	return out, nil
}

// grow counts what hangs below n.
func (n *Node) grow(below *Node, at ast.Node) error {
	if n.size += below.size; n.size > maxNodes {
		return fmt.Errorf("line %d: %w: more than %d nodes", lineOf(at), ErrTooLarge, maxNodes)
	}
	return nil
}

// pairs fills in a map. What it says itself goes before what it merges.
func (t *tree) pairs(out *Node, values []*ast.MappingValueNode, depth int) error {
	var merged []*Node
	own := make(map[string]bool, len(values))
	for _, kv := range values {
		value, err := t.node(kv.Value, depth+1)
		if err != nil {
			return err
		}
		if err := out.grow(value, kv); err != nil {
			return err
		}
		if kv.Key.IsMergeKey() {
			merged = append(merged, value)
			continue
		}
		key, err := t.node(kv.Key, depth+1)
		if err != nil {
			return err
		}
		if key.Kind == MapNode || key.Kind == SeqNode {
			return fmt.Errorf("line %d: a key that is no word", lineOf(kv))
		}
		if own[key.Value] {
			return fmt.Errorf("line %d: a key stands twice in one map", lineOf(kv))
		}
		own[key.Value] = true
		out.Pairs = append(out.Pairs, Pair{key.Value, key.Line, value})
	}
	for _, m := range merged {
		maps := []*Node{m}
		if m.Kind == SeqNode {
			maps = m.Items
		}
		for _, from := range maps {
			if from.Kind != MapNode {
				return fmt.Errorf("line %d: what is merged is no map", from.Line)
			}
			for _, p := range from.Pairs {
				if !own[p.Key] {
					own[p.Key] = true
					out.Pairs = append(out.Pairs, p)
				}
			}
		}
	}
	return nil
}
