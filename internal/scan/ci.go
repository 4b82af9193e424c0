package scan

import (
	"context"
	"fmt"

	"github.com/sallyport-dev/sallyport"
	ci "github.com/sallyport-dev/sallyport/internal/scan/workflow"
)

// ciIn returns what the rules for CI definitions, scripts and agents' settings find in the new
// content and did not find in the old: a line that nobody touched is a finding too if the change
// makes it grave, and a line that only moved is none. Old content that cannot be read counts as
// none, so that everything is new; final is then false.
func (s *Scanner) ciIn(ctx context.Context, f *sallyport.File, before sallyport.Path, text []byte, agent, agentBefore bool) (out []sallyport.Finding, final bool) {
	kind := ci.KindOf(fold(string(f.Path)), agent)
	if kind == ci.None {
		return nil, true
	}
	definition := kind == ci.GitHub || kind == ci.GitLab
	if f.NewMode == modeSymlink {
		if !definition {
			return nil, true
		}
		return []sallyport.Finding{finding(sallyport.FindingUnscanned, "ci-link", sallyport.High, f.Path, 0,
			"a symbolic link stands where a CI definition would, and what it leads to was not read as one", f.NewBlob)}, true
	}
	hits, err := ci.Scan(kind, plainText(text))
	if err != nil {
		what := "the file"
		if definition {
			what = "the CI definition"
		}
		return []sallyport.Finding{finding(sallyport.FindingUnscanned, "ci-definition", sallyport.High, f.Path, 0,
			what+" could not be read, and so was not scanned: "+sallyport.Path(err.Error()).String(), f.NewBlob)}, true
	}
	final = true
	if len(hits) > 0 && hasBlob(f.OldBlob) && f.OldMode != modeSubmodule && f.OldMode != modeSymlink {
		old, err := s.blobs.Blob(ctx, f.OldBlob, s.limit)
		if err != nil {
			final = false
		} else if had, err := ci.Scan(ci.KindOf(fold(string(before)), agentBefore), plainText(old)); err == nil {
			hits = ci.New(had, hits)
		}
	}
	seen := map[string]int{}
	for _, h := range hits {
		what := sallyport.FindingWorkflow
		if kind == ci.AgentSetting || kind == ci.Prose {
			what = sallyport.FindingConfig
		}
		seen[h.Rule+"\x00"+h.Key]++
		out = append(out, finding(what, h.Rule, h.Severity, f.Path, h.Line, h.Text, fmt.Sprintf("%s\x00%d", h.Key, seen[h.Rule+"\x00"+h.Key])))
	}
	return out, final
}

// plainText returns text in UTF-8 if it says that it is UTF-16, else as it is.
func plainText(text []byte) []byte {
	if wide := fromUTF16(text); wide != nil {
		return wide
	}
	return text
}
