package scene

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// DependOnSources makes a test depend on the product's sources, which are compiled by a child: Go
// would otherwise answer from its cache of test results after they have changed. It is called in
// a test, since Go does not see what TestMain looks at, from a folder two below the module's top.
// [New] calls it.
func DependOnSources(tb testing.TB) {
	tb.Helper()
	if n, err := statSources(); err != nil || n < 10 {
		tb.Fatalf("look at the sources: %d files, %v", n, err)
	}
}

// embedded are the endings of what is compiled or embedded into the binary.
var embedded = map[string]bool{".go": true, ".mod": true, ".sum": true, ".rego": true, ".json": true, ".yaml": true, ".sql": true}

var statSources = sync.OnceValues(func() (n int, err error) {
	root := filepath.Join("..", "..")
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || !embedded[filepath.Ext(name)]:
			return nil
		}
		n++
		_, err = os.Stat(name)
		return err
	})
	return n, err
})
