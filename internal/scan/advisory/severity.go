package advisory

import (
	"strings"

	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"

	"github.com/sallyport-dev/sallyport"
)

// rate returns the gravest rating of the vectors, or nothing if there is none that can be read.
func rate(ss []rawSeverity) sallyport.Severity {
	var out sallyport.Severity
	for _, s := range ss {
		if score, ok := score(s.Score); ok {
			out = worst(out, rating(score))
		} else {
			out = worst(out, word(s.Score)) // Ubuntu's type has words
		}
	}
	return out
}

// score returns the score of a CVSS vector: the base score, or version 4's only one.
func score(vector string) (float64, bool) {
	if len(vector) > maxVersion {
		return 0, false
	}
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if v, err := cvss40.ParseVector(vector); err == nil {
			return v.Score(), true
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if v, err := cvss31.ParseVector(vector); err == nil {
			return v.BaseScore(), true
		}
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if v, err := cvss30.ParseVector(vector); err == nil {
			return v.BaseScore(), true
		}
	case strings.HasPrefix(vector, "AV:"):
		if v, err := cvss20.ParseVector(vector); err == nil {
			return v.BaseScore(), true
		}
	}
	return 0, false
}

// rating is the qualitative scale of CVSS 3 and 4. "None" counts as low: somebody wrote an advisory.
func rating(score float64) sallyport.Severity {
	switch {
	case score >= 9:
		return sallyport.Critical
	case score >= 7:
		return sallyport.High
	case score >= 4:
		return sallyport.Medium
	}
	return sallyport.Low
}

// word reads a severity that a database states in words.
func word(v any) sallyport.Severity {
	s, _ := v.(string)
	switch strings.ToLower(s) {
	case "low", "negligible":
		return sallyport.Low
	case "moderate", "medium":
		return sallyport.Medium
	case "high", "important":
		return sallyport.High
	case "critical":
		return sallyport.Critical
	}
	return ""
}

func worst(a, b sallyport.Severity) sallyport.Severity {
	if b.Rank() > a.Rank() {
		return b
	}
	return a
}
