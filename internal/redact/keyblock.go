package redact

import (
	"bytes"
	"regexp"
)

// privateKey is the name of the rule for private keys.
const privateKey = "private-key"

var (
	keyBegins = anchored(`-----BEGIN[ A-Z0-9]{0,60}PRIVATE KEY(?: BLOCK)?-----`)
	keyEnds   = regexp.MustCompile(`-----END[ A-Z0-9]{0,60}PRIVATE KEY(?: BLOCK)?-----`)
	// keyLine is what a line between them may be: a part of the key, a header such
	// as "Proc-Type: 4,ENCRYPTED", or nothing.
	keyLine = regexp.MustCompile(`\A\s*(?:[A-Za-z0-9+/=]+|(?:Proc-Type|DEK-Info|Version|Comment|Hash): .*)?\s*\z`)
)

// keyBlock is whether the text is within a private key.
type keyBlock struct{ inside bool }

// keyRule finds where private keys begin; keyBlock does the rest.
func keyRule() *rule {
	return &rule{name: privateKey, keywords: []string{"-----BEGIN "}, re: keyBegins}
}

// begin appends what is to be replaced of a key that begins at s, and returns
// where the search goes on.
func (k *keyBlock) begin(w *Writer, text []byte, s span) int {
	end := lineEnd(text, s.end)
	// A key on one line is not longer than what a rule looks at.
	if m := keyEnds.FindIndex(text[s.end:min(end, s.end+maxMatch)]); m != nil {
		s.end += m[1]
		w.spans = append(w.spans, s)
		return s.end
	}
	if !keyLine.Match(text[s.end:end]) {
		// Not a block of lines: what is left of a key on one line.
		for s.end < end && !bytes.ContainsRune([]byte(" \t\"'"), rune(text[s.end])) {
			s.end++
		}
		w.spans = append(w.spans, s)
		return s.end
	}
	s.end = end
	w.spans = append(w.spans, s)
	k.inside = true
	return k.goOn(w, text, min(len(text), end+1))
}

// goOn appends the lines of a key that began before text[at], and returns where
// it ended: with its last line, or before what cannot be one of its lines.
func (k *keyBlock) goOn(w *Writer, text []byte, at int) int {
	for k.inside && at < len(text) {
		end := lineEnd(text, at)
		line := text[at:end]
		s := span{start: at, end: end, rule: privateKey, more: true}
		body := line
		if m := keyEnds.FindIndex(line); len(m) == 2 {
			body, s.end = line[:m[0]], at+m[1]
			k.inside = false
		}
		if !keyLine.Match(body) {
			k.inside = false
			return at
		}
		if !k.inside {
			w.spans = append(w.spans, s)
			return s.end
		}
		if s.end = at + len(bytes.TrimRight(line, "\r")); s.end > at {
			w.spans = append(w.spans, s)
		}
		at = min(len(text), end+1)
	}
	return at
}
