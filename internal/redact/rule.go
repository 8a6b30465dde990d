package redact

import "regexp"

// minSecret is how long what an assignment redacts is at least, in bytes: shorter
// values are counts, flags and words.
const minSecret = 4

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
	// locate is in place of re: it returns which part of a line is replaced, given
	// where the keyword is in it.
	locate func(line []byte, start, end int) (from, to int, found bool)
	// token is true if what is replaced is one word: it does not start within
	// one, and ends where that ends.
	token bool
	// likely says of what re matched whether it is a secret; nil: it is.
	likely func(match []byte) bool
	// next follows the word that starts with the keyword, "" if anything may. It
	// is looked at first: words may be long and many, and a pattern that reads
	// each to its end, over and over, would take hours for some logs.
	next string
}

// find returns what the rule replaces, given that its keyword is text[start:end].
// before is the byte that precedes text.
func (r *rule) find(text []byte, start, end int, before byte) (span, bool) {
	if start > 0 {
		before = text[start-1]
	}
	if r.token && word(before) {
		return span{}, false
	}
	stop := min(len(text), start+maxMatch)
	stop = start + lineEnd(text[start:stop], 0)
	from, to, found := r.match(text[:stop], start, end)
	if !found || r.likely != nil && !r.likely(text[from:to]) {
		return span{}, false
	}
	s := span{start: from, end: to, rule: r.name}
	if r.token {
		s.end = after(text, s.end, partOfWord)
	}
	if to == start+maxMatch {
		s.end = after(text, s.end, partOfToken)
	}
	s.open = s.end == len(text)
	return s, true
}

// match returns what is replaced of text, which ends with the line of the keyword.
func (r *rule) match(text []byte, start, end int) (from, to int, found bool) {
	if r.locate != nil {
		return r.locate(text, start, end)
	}
	m := r.re.FindSubmatchIndex(text[start:])
	if m == nil {
		return 0, 0, false
	}
	from, to = lastGroup(m)
	return start + from, start + to, true
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
