package report

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// The parts of SARIF that are read; section numbers are those of the specification.
type (
	sarifLog struct {
		Version string      `json:"version"`
		Runs    *[]sarifRun `json:"runs"` // null says that there is nothing to say
	}
	sarifRun struct { // 3.14
		Tool struct {
			Driver     sarifComponent   `json:"driver"`
			Extensions []sarifComponent `json:"extensions"`
		} `json:"tool"`
		Results     *[]sarifResult `json:"results"`
		Invocations []struct {
			Successful *bool `json:"executionSuccessful"`
		} `json:"invocations"`
		Bases      map[string]sarifLocation `json:"originalUriBaseIds"`
		Provenance []struct {
			Revision string `json:"revisionId"`
		} `json:"versionControlProvenance"`
		Artifacts []struct {
			Location sarifLocation `json:"location"`
		} `json:"artifacts"`
		External json.RawMessage `json:"externalPropertyFileReferences"`
	}
	sarifComponent struct { // 3.19
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct { // 3.49
		ID      string `json:"id"`
		Default struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
		Short struct {
			Text string `json:"text"`
		} `json:"shortDescription"`
		Properties struct {
			Severity json.RawMessage `json:"security-severity"`
		} `json:"properties"`
	}
	sarifResult struct { // 3.27
		RuleID    string `json:"ruleId"`
		RuleIndex *int   `json:"ruleIndex"`
		Rule      struct {
			ID        string `json:"id"`
			Index     *int   `json:"index"`
			Component struct {
				Index *int `json:"index"`
			} `json:"toolComponent"`
		} `json:"rule"`
		Level   string `json:"level"`
		Kind    string `json:"kind"`
		Message struct {
			Text string `json:"text"`
		} `json:"message"`
		Locations []struct {
			Physical *struct {
				Artifact sarifLocation `json:"artifactLocation"`
				Region   struct {
					Start int `json:"startLine"`
					End   int `json:"endLine"`
				} `json:"region"`
			} `json:"physicalLocation"`
		} `json:"locations"`
		Suppressions []struct {
			Status string `json:"status"`
		} `json:"suppressions"`
		Baseline string `json:"baselineState"`
	}
	sarifLocation struct { // 3.4
		URI   string `json:"uri"`
		Base  string `json:"uriBaseId"`
		Index *int   `json:"index"`
	}
)

// readSARIF reads a log; each of its runs is a report.
func readSARIF(b []byte, root string) ([]Report, error) {
	var log sarifLog
	if err := strict.LaxJSON(b, MaxSize, &log); err != nil {
		return nil, fmt.Errorf("%w: SARIF: %w", ErrInvalid, err)
	}
	switch {
	case log.Version != "2.1.0":
		return nil, fmt.Errorf("%w: SARIF: version %q, and only 2.1.0 is read", ErrInvalid, clip(log.Version))
	case log.Runs == nil || len(*log.Runs) == 0:
		return nil, fmt.Errorf("%w: SARIF: it holds no run of a tool", ErrInvalid)
	case len(*log.Runs) > 100:
		return nil, fmt.Errorf("%w: SARIF: %d runs, the most is 100", ErrInvalid, len(*log.Runs))
	}
	var out []Report
	for i := range *log.Runs {
		run := &(*log.Runs)[i]
		r, err := run.report(root)
		if err != nil {
			return nil, fmt.Errorf("%w: SARIF: run %d: %w", ErrInvalid, i+1, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

func (run *sarifRun) report(root string) (Report, error) {
	r := Report{Kind: SARIF, Tool: strings.TrimSpace(run.Tool.Driver.Name), Complete: true}
	if r.Tool == "" {
		return Report{}, fmt.Errorf("the tool has no name")
	}
	if len(run.External) > 0 && string(run.External) != "null" && string(run.External) != "{}" {
		return Report{}, fmt.Errorf("parts of it lie in other files (externalPropertyFileReferences), which are not read")
	}
	for _, v := range run.Provenance {
		if v.Revision != "" {
			r.Revisions = append(r.Revisions, v.Revision)
		}
	}
	for _, v := range run.Invocations {
		if v.Successful == nil || !*v.Successful {
			r.Complete, r.Why = false, "the tool says that it did not run to its end"
		}
	}
	if run.Results == nil {
		r.Complete, r.Why = false, "it has no list of results: the tool did not scan"
		return r, nil
	}
	for i := range *run.Results {
		res := &(*run.Results)[i]
		if res.Baseline == "absent" || res.Kind != "" && res.Kind != "fail" && res.Kind != "open" && res.Kind != "review" {
			continue
		}
		rule := run.rule(res)
		severity, ok := severityOf(res, rule)
		if !ok {
			continue
		}
		out := Result{Rule: res.id(rule), Severity: severity, Text: res.Message.Text, New: res.Baseline == "new"}
		if out.Text == "" && rule != nil {
			out.Text = rule.Short.Text
		}
		for _, s := range res.Suppressions {
			out.Suppressed = out.Suppressed || s.Status == "" || s.Status == "accepted"
		}
		if out.Suppressed {
			r.Suppressed++
		}
		for _, l := range res.Locations {
			if l.Physical == nil {
				continue
			}
			p := run.place(l.Physical.Artifact, root)
			p.Line = max(0, l.Physical.Region.Start)
			p.EndLine = max(p.Line, l.Physical.Region.End)
			out.Places = append(out.Places, p)
		}
		r.Results = append(r.Results, out)
	}
	r.Total = len(r.Results)
	return r, nil
}

func (res *sarifResult) id(rule *sarifRule) string {
	switch {
	case res.RuleID != "":
		return res.RuleID
	case res.Rule.ID != "":
		return res.Rule.ID
	case rule != nil:
		return rule.ID
	}
	return "unnamed"
}

// rule finds the description of a result's rule: 3.27.6 and 3.52.
func (run *sarifRun) rule(res *sarifResult) *sarifRule {
	index := res.RuleIndex
	if res.Rule.Index != nil {
		index = res.Rule.Index
	}
	components := append([]sarifComponent{run.Tool.Driver}, run.Tool.Extensions...)
	if c := res.Rule.Component.Index; c != nil && *c >= 0 && *c < len(run.Tool.Extensions) {
		components = run.Tool.Extensions[*c : *c+1]
	}
	id := res.id(nil)
	if index != nil && *index >= 0 && *index < len(components[0].Rules) {
		rule := &components[0].Rules[*index]
		if id == "unnamed" || rule.ID == id || strings.HasPrefix(id, rule.ID+"/") {
			return rule
		}
	}
	for _, c := range components {
		for i := range c.Rules {
			if c.Rules[i].ID == id {
				return &c.Rules[i]
			}
		}
	}
	return nil
}

// severityOf ranks a result: by the rule's security-severity, as CVSS bands it, or else by level.
// Ok is false for what the tool itself says is no problem.
func severityOf(res *sarifResult, rule *sarifRule) (sallyport.Severity, bool) {
	level := res.Level
	if level == "" && rule != nil {
		level = rule.Default.Level
	}
	if rule != nil && len(rule.Properties.Severity) > 0 && level != "none" {
		n, err := strconv.ParseFloat(strings.Trim(string(rule.Properties.Severity), `" `), 64)
		switch {
		case err != nil:
		case n >= 9:
			return sallyport.Critical, true
		case n >= 7:
			return sallyport.High, true
		case n >= 4:
			return sallyport.Medium, true
		case n > 0:
			return sallyport.Low, true
		}
	}
	switch level {
	case "error":
		return sallyport.High, true
	case "note":
		return sallyport.Low, true
	case "none":
		return "", false
	case "", "warning": // 3.27.10: warning where nothing is said
		return sallyport.Medium, true
	}
	return sallyport.High, true // a level that the specification does not have is no excuse
}

// place resolves an artifact's location: 3.4.4 and 3.14.14.
func (run *sarifRun) place(l sarifLocation, root string) Place {
	if l.URI == "" && l.Index != nil && *l.Index >= 0 && *l.Index < len(run.Artifacts) {
		l = run.Artifacts[*l.Index].Location
	}
	if l.URI == "" {
		return Place{Unknown: true}
	}
	uri := l.URI
	base := l.Base
	for depth := 0; base != ""; depth++ {
		b, known := run.Bases[base]
		if depth > 16 {
			return Place{Unknown: true}
		}
		if strings.Contains(uri, "://") || strings.HasPrefix(uri, "/") {
			break
		}
		if !known || b.URI == "" {
			break // not said: the repository's top, as %SRCROOT% is by custom
		}
		uri = strings.TrimSuffix(b.URI, "/") + "/" + uri
		base = b.Base
	}
	p, ok := place(uri, root, true)
	return Place{Path: p, Unknown: !ok}
}
