//go:build peers

package advisories

import "regexp"

// explanations say why answers differ, and which of them is right.
var explanations = []struct {
	pattern *regexp.Regexp // over ecosystem, name, version and whose answer it is, with tabs between
	why     string
}{
	{
		regexp.MustCompile(`(?i)^Go\tgithub\.com/0xJacky/nginx-ui\t.*\tonly ours: `),
		"one module, which advisories write in two cases: ours goes by the name in lower case, as the host does, and govulncheck by the name as it is written",
	},
}
