package logtext

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Text returns the readable form of s in at most limit bytes. Where s has to
// be cut, a note at the end says how many of its bytes were left out; a limit
// too small for the note leaves it out as well.
func Text(s string, limit int) string {
	if len(s) <= limit && !strings.ContainsFunc(s, notPlain) {
		return s
	}
	raw := []byte(s)
	if ReadableSize(raw) <= limit {
		return string(AppendReadable(nil, raw))
	}
	note := func(omitted int) string {
		return fmt.Sprintf(" [job-handler: %s left out]", Count(int64(omitted), "byte"))
	}
	room := limit - len(note(len(raw)))
	if room <= 0 {
		return string(AppendReadable(nil, raw[:fittingPrefix(raw, max(0, limit))]))
	}
	kept := fittingPrefix(raw, room)
	return string(AppendReadable(nil, raw[:kept])) + note(len(raw)-kept)
}

var oneLine = strings.NewReplacer("\r\n", `\n`, "\n", `\n`, "\t", `\t`)

// Line is Text on one line: newlines and tabs become \n and \t.
func Line(s string, limit int) string {
	if strings.ContainsAny(s, "\n\t") {
		s = oneLine.Replace(s)
	}
	return Text(s, limit)
}

func notPlain(r rune) bool { return r >= utf8.RuneSelf || !plain[r] }
