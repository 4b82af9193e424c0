package render

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-dev/sallyport"
)

const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// Home is where the program and its reason codes are documented.
const home = "https://sallyport.dev"

// The parts of SARIF 2.1.0 that are written here, under the specification's names.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool              sarifTool         `json:"tool"`
		AutomationDetails sarifID           `json:"automationDetails"`
		Invocations       []sarifInvocation `json:"invocations"`
		ColumnKind        string            `json:"columnKind"`
		Results           []sarifResult     `json:"results"`
		Properties        map[string]any    `json:"properties"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name            string      `json:"name"`
		InformationURI  string      `json:"informationUri"`
		SemanticVersion string      `json:"semanticVersion,omitempty"`
		Rules           []sarifRule `json:"rules"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifRule struct {
		ID                   string         `json:"id"`
		ShortDescription     sarifText      `json:"shortDescription"`
		Help                 sarifText      `json:"help"`
		HelpURI              string         `json:"helpUri"`
		DefaultConfiguration sarifLevel     `json:"defaultConfiguration"`
		Properties           map[string]any `json:"properties,omitempty"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		EndTimeUTC          string              `json:"endTimeUtc,omitempty"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID              string             `json:"ruleId"`
		RuleIndex           int                `json:"ruleIndex"`
		Kind                string             `json:"kind"`
		Level               string             `json:"level"`
		Message             sarifText          `json:"message"`
		Locations           []sarifLocation    `json:"locations"`
		PartialFingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions        []sarifSuppression `json:"suppressions,omitempty"`
		Properties          map[string]any     `json:"properties,omitempty"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
)

// SARIF writes a decision as a SARIF 2.1.0 log with one run: a rule for each code, a result for
// each reason (error if it shuts, warning if it waits), a notification for each piece of advice
// and each dropped attestation. version is the program's semantic version, or empty.
//
// What an exception holds off is a result with a suppression. An open decision has no other
// results. One that could not be made has an error notification and an
// unsuccessful invocation, so that "no results" never reads as "all is well".
func SARIF(w io.Writer, d sallyport.Decision, id sallyport.Digest, version string) error {
	run := sarifRun{
		Tool:              sarifTool{sarifDriver{Name: "sallyport", InformationURI: home, SemanticVersion: version, Rules: []sarifRule{}}},
		AutomationDetails: sarifID{"sallyport/" + Clean(string(d.Gate)) + "/"},
		ColumnKind:        "utf16CodeUnits",
		Results:           []sarifResult{},
		Properties: map[string]any{
			"outcome": d.Outcome.String(), "mode": Clean(string(d.Mode)), "subject": Clean(string(d.Subject.Digest)), "decision": Clean(string(id)),
		},
	}
	index := map[string]int{}
	seen := map[string]int{}
	add := func(r sallyport.Reason) *sarifResult {
		code := Clean(r.Code)
		i, ok := index[code]
		if !ok {
			i = len(run.Tool.Driver.Rules)
			index[code] = i
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, ruleOf(code, r))
		}
		run.Results = append(run.Results, resultOf(d, code, r, i, seen))
		return &run.Results[len(run.Results)-1]
	}
	for _, r := range d.Reasons {
		add(r)
	}
	for _, x := range d.Excepted {
		add(x.Reason).Suppressions = []sarifSuppression{{"external", "accepted", Clean(exceptedBy(x))}}
	}
	run.Invocations = []sarifInvocation{invocationOf(d)}
	return Value(w, sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

// sarifMessage returns s, which is clean, as a message. A message may hold links, written
// [text](destination), and these must not be an author's: the bracket that would make one is
// escaped as Clean escapes what does not print.
func sarifMessage(s string) sarifText {
	return sarifText{strings.ReplaceAll(s, "](", `\x5d(`)}
}

func level(o sallyport.Outcome) string {
	if o == sallyport.Waiting {
		return "warning"
	}
	return "error"
}

// securitySeverity is the score by which code-scanning services rank a rule.
var securitySeverity = map[sallyport.Severity]string{
	sallyport.Critical: "9.5", sallyport.High: "8.0", sallyport.Medium: "5.5", sallyport.Low: "2.5",
}

func ruleOf(code string, r sallyport.Reason) sarifRule {
	title := Clean(r.Title)
	if title == "" {
		title = code
	}
	help := title + "."
	if r.Next != "" {
		help += " Next: " + Clean(r.Next)
	}
	rule := sarifRule{
		ID: code, ShortDescription: sarifMessage(title), Help: sarifMessage(help),
		HelpURI:              home + "/docs/reasons#" + url.PathEscape(code),
		DefaultConfiguration: sarifLevel{level(r.Outcome)},
		Properties:           map[string]any{},
	}
	tags := []string{"security"}
	for _, l := range r.Labels {
		if l = Clean(l); !slices.Contains(tags, l) {
			tags = append(tags, l)
		}
	}
	rule.Properties["tags"] = tags
	if s, ok := securitySeverity[r.Severity]; ok {
		rule.Properties["security-severity"] = s
	}
	return rule
}

func resultOf(d sallyport.Decision, code string, r sallyport.Reason, rule int, seen map[string]int) sarifResult {
	message := Clean(r.Text)
	if message == "" {
		message = Clean(r.Title)
	}
	if message == "" {
		message = code
	}
	if r.Next != "" {
		message += " (next: " + Clean(r.Next) + ")"
	}
	loc := locationOf(d, r.Place)
	// The fingerprint leaves out the line and the text: a finding that moves is the same
	// finding. Several of one code at one path are told apart by their order.
	where := ""
	if loc.Physical != nil {
		where = loc.Physical.Artifact.URI
	}
	print := string(sallyport.SHA256([]byte(strconv.Quote(code) + strconv.Quote(where))))[len("sha256:"):][:32]
	seen[print]++
	props := map[string]any{"outcome": r.Outcome.String()}
	if r.Severity != "" {
		props["severity"] = Clean(string(r.Severity))
	}
	if r.Mode != "" {
		props["mode"] = Clean(string(r.Mode))
	}
	if r.EffectiveOn != "" {
		props["effectiveOn"] = Clean(r.EffectiveOn)
	}
	if r.Set != "" {
		props["policySet"] = Clean(r.Set)
	}
	if len(r.Looked) > 0 {
		looked := make([]string, 0, len(r.Looked))
		for _, l := range r.Looked {
			looked = append(looked, Clean(l))
		}
		props["looked"] = looked
	}
	return sarifResult{
		RuleID: code, RuleIndex: rule, Kind: "fail", Level: level(r.Outcome), Message: sarifMessage(message),
		Locations:           []sarifLocation{loc},
		PartialFingerprints: map[string]string{"sallyportReason/v1": fmt.Sprintf("%s:%d", print, seen[print])},
		Properties:          props,
	}
}

// locationOf reads a reason's place: a path, a path and a line, or something that is no file.
func locationOf(d sallyport.Decision, place string) sarifLocation {
	if place != "" {
		if _, err := sallyport.ParseDigest(place); err != nil {
			path, line := splitPlace(place)
			loc := sarifPhysical{Artifact: sarifArtifact{URI: pathURI(path)}}
			if line > 0 {
				loc.Region = &sarifRegion{StartLine: line}
			}
			return sarifLocation{Physical: &loc}
		}
		return sarifLocation{Logical: []sarifLogical{{FullyQualifiedName: place, Kind: "resource"}}}
	}
	return sarifLocation{Logical: []sarifLogical{{FullyQualifiedName: Clean(string(d.Subject.Digest)), Kind: "resource"}}}
}

// splitPlace undoes path:line and the quoted form of [sallyport.Path.String].
func splitPlace(place string) (path string, line int) {
	if i := strings.LastIndexByte(place, ':'); i > 0 {
		if n, err := strconv.Atoi(place[i+1:]); err == nil && n > 0 {
			place, line = place[:i], n
		}
	}
	if strings.HasPrefix(place, `"`) {
		if u, err := strconv.Unquote(place); err == nil {
			place = u
		}
	}
	return place, line
}

// pathURI is a path in a repository as a relative URI, byte for byte.
func pathURI(path string) string {
	u := (&url.URL{Path: path}).EscapedPath()
	if first, _, _ := strings.Cut(u, "/"); strings.Contains(first, ":") || strings.HasPrefix(u, "/") {
		u = "./" + u // a colon would make the first segment a scheme
	}
	return u
}

func invocationOf(d sallyport.Decision) sarifInvocation {
	inv := sarifInvocation{ExecutionSuccessful: !d.Undecided, EndTimeUTC: Clean(d.Time)}
	note := func(level, text string) {
		inv.Notifications = append(inv.Notifications, sarifNotification{level, sarifMessage(Clean(text))})
	}
	if d.Undecided {
		note("error", "no decision could be made; treat the gate as shut")
	}
	for _, x := range d.Dropped {
		from := x.Attestation.Short()
		if x.Source != "" {
			from += " from " + x.Source
		}
		note("warning", "evidence was not used: "+from+": "+x.Why)
	}
	if d.Solo != "" {
		note("note", "solo: "+SoloText(d))
	}
	for _, a := range d.Advice {
		note("note", "advice only: "+a)
	}
	return inv
}
