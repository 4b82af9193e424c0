package dep

import (
	"errors"
	"fmt"

	"github.com/BurntSushi/toml"
)

// parseTOML reads a TOML document. The library's own text is not passed on: it quotes the source.
func parseTOML(b []byte) (object, error) {
	if err := checkTOMLDepth(b); err != nil {
		return nil, err
	}
	o := object{}
	if err := toml.Unmarshal(b, &o); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, fmt.Errorf("line %d: not TOML", pe.Position.Line)
		}
		return nil, errors.New("not TOML")
	}
	return o, nil
}

// checkTOMLDepth bounds how many brackets are open at one time, in whatever context: those in
// strings and comments count too, up to the end of their line, which errs towards refusal only
// where a line holds hundreds of them.
func checkTOMLDepth(b []byte) error {
	open := 0
	for _, c := range b {
		switch c {
		case '[', '{':
			if open++; open > 10*maxDepth {
				return errors.New("nested too deeply")
			}
		case ']', '}':
			open = max(0, open-1)
		}
	}
	return nil
}
