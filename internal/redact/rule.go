package redact

import "regexp"

// maxMatch is how far from its keyword a rule looks, in bytes.
const maxMatch = 8 << 10

// rule is one built-in rule.
type rule struct {
	name string
	// keywords start what it is about; at least window bytes each.
	keywords []string
	// fold is true if keywords, in lower case, stand for any case.
	fold bool
	// re is matched at the start of a keyword. It has one group, which is
	// replaced, or none: then all of it is.
	re *regexp.Regexp
	// token is true if what is replaced is one word: it does not start within
	// one, and ends where that ends.
	token bool
	// digit is true if what is replaced must have a digit, so that it is no word
	// of a language.
	digit bool
	// next follows the word that starts with the keyword, "" if anything may. It
	// is looked at first: words may be long and many, and a pattern that reads
	// each to its end, over and over, would take hours for some logs.
	next string
}

// find returns what the rule replaces, given that a keyword starts at start.
// before is the byte that precedes text.
func (r *rule) find(text []byte, start int, before byte) (span, bool) {
	if start > 0 {
		before = text[start-1]
	}
	if r.token && word(before) {
		return span{}, false
	}
	tail := text[start:min(len(text), start+maxMatch)]
	tail = tail[:lineEnd(tail, 0)]
	m := r.re.FindSubmatchIndex(tail)
	if m == nil {
		return span{}, false
	}
	from, to := lastGroup(m)
	if r.digit && !hasDigit(tail[from:to]) {
		return span{}, false
	}
	found := span{start: start + from, end: start + to, rule: r.name}
	if r.token {
		found.end = after(text, found.end, partOfWord)
	}
	if to == maxMatch {
		found.end = after(text, found.end, partOfToken)
	}
	found.open = found.end == len(text)
	return found, true
}

// lastGroup returns the last group of a match, the match itself if none matched.
func lastGroup(match []int) (from, to int) {
	for at := len(match) - 2; at > 0; at -= 2 {
		if match[at] >= 0 {
			return match[at], match[at+1]
		}
	}
	return match[0], match[1]
}

func word(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// after returns where the bytes of this kind end that start at text[at].
func after(text []byte, at int, kind func(byte) bool) int {
	for at < len(text) && kind(text[at]) {
		at++
	}
	return at
}

func partOfWord(c byte) bool { return word(c) || c == '-' }

// partOfToken reports whether c can be a part of a token.
func partOfToken(c byte) bool {
	return word(c) || c == '-' || c == '+' || c == '/' || c == '=' || c == '.' || c == '~' || c == '%'
}

func hasDigit(text []byte) bool {
	for _, c := range text {
		if '0' <= c && c <= '9' {
			return true
		}
	}
	return false
}
