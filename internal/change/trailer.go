package change

import (
	"strings"

	"github.com/sallyport-dev/sallyport"
)

// Lines that git itself writes at the end of messages. One of them makes a paragraph trailers
// even if other text stands in it.
var generatedTrailers = []string{"Signed-off-by: ", "(cherry picked from commit "}

// parseTrailers returns the trailers of a commit message, by the rules of git interpret-trailers
// without configuration and without the "---" divider: the last paragraph, if it is not the
// first, and if all its lines are trailers or, where git itself wrote one of them, at least a
// quarter. Continuation lines are joined to the value with one space.
func parseTrailers(message string) []sallyport.Trailer {
	lines := strings.Split(message, "\n")
	trailers := []sallyport.Trailer{}
	for _, line := range lines[trailerStart(lines):] {
		if isComment(line) {
			continue
		}
		if sep := separator(line); sep >= 1 && !startsSpace(line) {
			trailers = append(trailers, sallyport.Trailer{
				Key:   strings.TrimSpace(line[:sep]),
				Value: strings.TrimSpace(line[sep+1:]),
			})
		} else if text := strings.TrimSpace(line); startsSpace(line) && text != "" && len(trailers) > 0 {
			last := &trailers[len(trailers)-1]
			last.Value = strings.TrimSpace(last.Value + " " + text)
		}
	}
	return trailers
}

// trailerStart returns the index of the first line of the trailer block, len(lines) if there
// is none.
func trailerStart(lines []string) int {
	title := 0
	for title < len(lines) && (isComment(lines[title]) || !isBlank(lines[title])) {
		title++
	}
	var trailers, others, continuations int
	onlyBlank, generated := true, false
	for i := len(lines) - 1; i >= title; i-- {
		line := lines[i]
		switch {
		case isComment(line):
			others += continuations
			continuations = 0
		case isBlank(line):
			if onlyBlank {
				continue
			}
			others += continuations
			if (generated && trailers*3 >= others) || (trailers > 0 && others == 0) {
				return i + 1
			}
			return len(lines)
		case isGenerated(line):
			trailers++
			continuations, generated, onlyBlank = 0, true, false
		case separator(line) >= 1 && !startsSpace(line):
			trailers++
			continuations, onlyBlank = 0, false
		case startsSpace(line):
			continuations++
			onlyBlank = false
		default:
			others += 1 + continuations
			continuations, onlyBlank = 0, false
		}
	}
	return len(lines)
}

// separator returns where the colon of a trailer is: after letters, digits and hyphens and
// perhaps blanks. It returns -1 if the line is not a trailer.
func separator(line string) int {
	blank := false
	for i := range len(line) {
		c := line[i]
		switch {
		case c == ':':
			return i
		case !blank && (c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'):
		case i > 0 && (c == ' ' || c == '\t'):
			blank = true
		default:
			return -1
		}
	}
	return -1
}

func isGenerated(line string) bool {
	for _, p := range generatedTrailers {
		if strings.HasPrefix(line, p) {
			return true
		}
	}
	return false
}

func isComment(line string) bool { return strings.HasPrefix(line, "#") }

func isBlank(line string) bool { return strings.Trim(line, " \t\r\v\f") == "" }

func startsSpace(line string) bool {
	return line != "" && strings.ContainsRune(" \t\r\v\f", rune(line[0]))
}
