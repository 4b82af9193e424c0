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
	{
		regexp.MustCompile(`^PyPI\t.*\tonly ours: not known `),
		"a version that PEP 440 does not know: ours says that it is not known, grype takes it for unaffected",
	},
	{
		regexp.MustCompile(`^PyPI\t(buildbot|cherrypy|ipython|joblib|jubatus|jw\.util|leo|limnoria|mailman|nltk|paramiko|pywps|rope|sleekxmpp|supervisor)\t.*\tonly ours: PYSEC-`),
		"the record lists a version that PEP 440 does not know, and grype drops all that it says for that: ours is right",
	},
	{
		regexp.MustCompile(`^PyPI\twagtail\t2\.11\.(6\.post1|7\.dev1|7rc1)\tonly theirs: PYSEC-2021-114$`),
		"ranges that overlap, 2.11 to 2.11.7 and 0 to 2.11.6: the schema's evaluation sorts all events, grype was given two intervals",
	},
}
