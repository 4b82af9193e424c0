package app

import (
	"context"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/build"
	"github.com/sallyport-dev/sallyport/internal/evidence"
	"github.com/sallyport-dev/sallyport/internal/scan/report"
	"github.com/sallyport-dev/sallyport/internal/scan/sbom"
)

// checkReleases says what would keep every release shut, where the configuration speaks of releases at all.
func (w *workspace) checkReleases(ctx context.Context) []Check {
	gate, line, settings := w.cfg.Gates.Release, w.cfg.Pipeline, w.cfg.ReleaseSettings()
	if gate.Adoption == "" && !line.Used() {
		return nil
	}
	if gate.Adoption == "" {
		return []Check{{Name: "releases", State: Advice, Text: "nothing says from which commit on changes are judged: no release opens",
			Next: "name it in gates.release.adoption, in " + configPath}}
	}
	commit, err := w.repo.Resolve(ctx, gate.Adoption)
	if err != nil {
		return []Check{{Name: "releases", State: Broken, Text: "gates.release.adoption names " + shortID(gate.Adoption) + ", which is not here", Next: "fetch all history, or mend " + configPath}}
	}
	if ok, err := w.differ(ctx).IsAncestor(ctx, commit, w.target.Base); err != nil || !ok {
		return []Check{{Name: "releases", State: Broken, Text: "gates.release.adoption names " + shortID(commit) + ", which " + w.target.Ref + " does not have", Next: "name a commit of that branch in " + configPath}}
	}
	need := []string{build.ProvenanceType}
	if slices.Contains(settings.Require, "tests") || len(line.Tests) > 0 {
		need = append(need, report.TestResultType)
	}
	need = append(need, sbom.CycloneDXType)
	if line.Used() {
		need = append(need, referenceType)
	}
	if len(line.Scanners) > 0 {
		need = append(need, report.SARIFType)
	}
	var nobody []string
	for _, typ := range need {
		if !w.anyKeySigns(typ, settings.Grades, "") {
			nobody = append(nobody, typ)
		}
	}
	var checks []Check
	if len(nobody) > 0 {
		checks = append(checks, Check{Name: "releases", State: Advice, Text: "no key may sign at a grade that counts: " + strings.Join(nobody, ", "),
			Next: "let the release key sign them, in " + trustPath})
	}
	if !w.anyKeySigns(evidence.VSAType, settings.Grades, sallyport.Workload) {
		checks = append(checks, Check{Name: "releases", State: Advice, Text: "no verifier's key may sign decisions at a grade that counts: no commit is covered",
			Next: "list the verifier's key in " + trustPath + ", with the type " + evidence.VSAType})
	}
	if checks == nil {
		checks = []Check{{Name: "releases", State: OK, Text: "since " + shortID(commit)}}
	}
	return checks
}

// anyKeySigns reports whether the trust roots have a key for a type, at one of the grades. An empty kind is any.
func (w *workspace) anyKeySigns(typ string, grades []sallyport.Grade, kind sallyport.PrincipalKind) bool {
	return slices.ContainsFunc(w.trust, func(k evidence.Key) bool {
		return k.Revoked == nil && slices.Contains(k.Types, typ) && slices.Contains(grades, k.Grade) && (kind == "" || k.Principal.Kind == kind)
	})
}
