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

const (
	// maxPrefix is how long what precedes each line of a key may be, in bytes.
	maxPrefix = 256
	// maxBetween is how many other lines may stand among the lines of a key that
	// have a prefix: of several programs that write to one log.
	maxBetween = 8
	// fullLine is how long the lines of a key are at least but for its last, in
	// bytes.
	fullLine = 40
)

// keyBlock is whether the text is within a private key.
type keyBlock struct {
	inside bool
	// prefix precedes the key's first line: a time stamp, say. Numbers in it differ
	// from line to line.
	prefix []byte
	// between counts the other lines since the last of the key.
	between int
	// ending is true once the key's last line was read.
	ending bool
}

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
	*k = keyBlock{inside: true, prefix: k.prefix[:0]}
	if prefix := text[bytes.LastIndexByte(text[:s.start], '\n')+1 : s.start]; len(prefix) <= maxPrefix && len(bytes.TrimSpace(prefix)) > 0 {
		k.prefix = append(k.prefix, prefix...)
	}
	return k.goOn(w, text, min(len(text), end+1))
}

// goOn appends the lines of a key that began before text[at], and returns where
// it ended: with its last line, or before what cannot be one of its lines.
func (k *keyBlock) goOn(w *Writer, text []byte, at int) int {
	for k.inside && at < len(text) {
		end := lineEnd(text, at)
		s := span{start: at + likePrefix(text[at:end], k.prefix), end: end, rule: privateKey, more: true}
		body := text[s.start:end]
		last := keyEnds.FindIndex(body)
		if last != nil {
			body, s.end = body[:last[0]], s.start+last[1]
			k.inside = false
		}
		switch {
		case !k.line(body):
			if k.inside && len(k.prefix) > 0 && k.between < maxBetween {
				k.between++
				break
			}
			k.inside = false
			return at
		case last != nil:
			w.spans = append(w.spans, s)
			return s.end
		default:
			if s.end = s.start + len(bytes.TrimRight(body, "\r")); s.end > s.start {
				w.spans = append(w.spans, s)
			}
		}
		at = min(len(text), end+1)
	}
	return at
}

// line reports whether body may be a line of the key.
func (k *keyBlock) line(body []byte) bool {
	if !keyLine.Match(body) {
		return false
	}
	body = bytes.TrimSpace(body)
	if k.ending && len(body) > 0 {
		return false
	}
	k.between = 0
	k.ending = len(k.prefix) > 0 && 0 < len(body) && len(body) < fullLine && bytes.IndexByte(body, ':') < 0
	return true
}

// likePrefix returns how many bytes of line are prefix but for its numbers, 0 if it
// starts otherwise.
func likePrefix(line, prefix []byte) int {
	at := 0
	for i := 0; i < len(prefix); i++ {
		switch {
		case at == len(line):
			return 0
		case isDigit(prefix[i]):
			if !isDigit(line[at]) {
				return 0
			}
			i, at = after(prefix, i, isDigit)-1, after(line, at, isDigit)
		case prefix[i] != line[at]:
			return 0
		default:
			at++
		}
	}
	return at
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
