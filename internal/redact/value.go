package redact

import "bytes"

const (
	// maxSpaces is how many blanks may stand beside the sign of an assignment.
	maxSpaces = 3
	// maxLookBack is how far before a name an open quote is looked for, in bytes.
	maxLookBack = 1 << 10
	// maxLevels is how many levels of quoting within quoting are told apart: JSON
	// within JSON within a shell's word.
	maxLevels = 4
)

// value is what stands behind a name and a sign: text[from:to].
type value struct {
	from, to int
	// sign is '=', ':', '>' for the tag of XML, or ' ' for a command line's flag.
	sign byte
	// quoted is true if quotes enclose the value.
	quoted bool
}

// assignedAt returns the value that text assigns to the name in
// text[start:end]. A value in quotes ends where its quotes end, or its line does;
// any other ends as bareEnd says.
func assignedAt(text []byte, start, end int) (value, bool) {
	sign, at := signAt(text, start, end)
	if sign == 0 {
		return value{}, false
	}
	if at+1 < len(text) && bytes.IndexByte([]byte("bBrRuUfF"), text[at]) >= 0 && isQuote(text[at+1]) {
		at++ // Python's prefix of a literal
	}
	v := value{from: at, sign: sign}
	if level, quote := quoteAt(text, at); quote != 0 && sign != '>' {
		v.quoted, v.from = true, at+level+1
		v.to = quotedEnd(text, v.from, level, quote)
		return v, true
	}
	if level, quote := enclosing(text, start); quote != 0 && sign == '=' {
		v.quoted = true
		v.to = listEnd(text, v.from, quotedEnd(text, v.from, level, quote))
		return v, v.to > v.from
	}
	v.to = bareEnd(text, start, at, sign)
	return v, v.to > v.from
}

// enclosing returns the quote, and how many backslashes it has, that stands right
// before the name whose end text[at:] starts with: it encloses the assignment.
func enclosing(text []byte, at int) (level int, quote byte) {
	for stop := max(0, at-maxKeyword); at > stop && (partOfWord(text[at-1]) || text[at-1] == '.'); {
		at--
	}
	if at == 0 || !isQuote(text[at-1]) {
		return 0, 0
	}
	from := at - 1
	for from > 0 && text[from-1] == '\\' && at-from < 1<<maxLevels {
		from--
	}
	return quoteAt(text, from)
}

// listEnd returns where the value text[at:end] ends if another assignment of a
// query follows it within the same quotes.
func listEnd(text []byte, at, end int) int {
	for i := at; i < end; i++ {
		if text[i] == '&' && nextAssignment(text, i+1) {
			return i
		}
	}
	return end
}

// signAt returns the sign of the assignment to the name in text[start:end], 0 if
// it has none, and where its value starts.
func signAt(text []byte, start, end int) (sign byte, at int) {
	closed := closedAt(text, end)
	spaced := blanks(text, closed)
	rest := text[spaced:]
	switch {
	case closed == end && spaced > end && isFlag(text, start):
		return ' ', spaced
	case spaced == end && hasAny(rest, ">"):
		return '>', spaced + 1
	case hasAny(rest, "==", "::", ":/", "=~"):
		return 0, 0
	case hasAny(rest, ":=", "=>"):
		return '=', blanks(text, spaced+2)
	case hasAny(rest, ":"):
		return ':', blanks(text, spaced+1)
	case hasAny(rest, "="):
		return equalsAt(text, spaced, spaced == end)
	default:
		return 0, 0
	}
}

// equalsAt returns the sign at text[at], and where its value starts. What follows
// "name= " is another word, unless it is quoted.
func equalsAt(text []byte, at int, adjacent bool) (sign byte, value int) {
	value = blanks(text, at+1)
	if adjacent && value > at+1 && !isQuoteAt(text, value) {
		return 0, 0
	}
	return '=', value
}

// closedAt returns where the quotes and the bracket end that a name may have, which
// ends at text[at].
func closedAt(text []byte, at int) int {
	if level, quote := quoteAt(text, at); quote != 0 {
		at += level + 1
	}
	if at < len(text) && text[at] == ']' {
		at++
	}
	return at
}

// isFlag reports whether text[start:] is the end of a word that starts with two
// dashes, within the last 64 bytes.
func isFlag(text []byte, start int) bool {
	for at := start - 1; at >= max(0, start-64); at-- {
		switch {
		case partOfWord(text[at]):
		default:
			return isBlank(text[at]) && bytes.HasPrefix(text[at+1:], []byte("--"))
		}
	}
	return start <= 64 && bytes.HasPrefix(text, []byte("--"))
}

func hasAny(text []byte, starts ...string) bool {
	for _, start := range starts {
		if bytes.HasPrefix(text, []byte(start)) {
			return true
		}
	}
	return false
}

// blanks returns where the blanks at text[at] end, of which there may be
// maxSpaces.
func blanks(text []byte, at int) int {
	for end := at + maxSpaces; at < min(len(text), end) && isBlank(text[at]); {
		at++
	}
	return at
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isSpace(c byte) bool { return isBlank(c) || c == '\n' || c == '\r' || c == '\v' || c == '\f' }

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

func isQuoteAt(text []byte, at int) bool {
	_, quote := quoteAt(text, at)
	return quote != 0
}

// quoteAt returns the quote at text[at] and how many backslashes stand before it;
// 0 if there is none.
func quoteAt(text []byte, at int) (level int, quote byte) {
	end := at
	for end < len(text) && text[end] == '\\' && end-at < 1<<maxLevels {
		end++
	}
	// 0, 1, 3, 7: each level of quoting doubles the backslashes and adds one.
	level = end - at
	if end == len(text) || !isQuote(text[end]) || level&(level+1) != 0 {
		return 0, 0
	}
	return level, text[end]
}

// quotedEnd returns where a value ends that starts at text[at], behind a quote
// with so many backslashes: before the same quote with as many, escaped
// backslashes left aside, or with fewer, which ends what encloses it; or at the
// end of its line.
func quotedEnd(text []byte, at, level int, quote byte) int {
	slashes, period := 0, 2*(level+1)
	for ; at < len(text) && text[at] != '\n'; at++ {
		switch c := text[at]; {
		case c == '\\':
			slashes++
			continue
		case c != quote:
		case level+slashes == 0 && at+1 < len(text) && text[at+1] == quote:
			at++ // YAML and SQL write a quote within quotes twice
		case slashes%period == level, (slashes+1)%(level+1) != 0:
			return at - min(level, slashes)
		}
		slashes = 0
	}
	return len(bytes.TrimSuffix(text[:at], []byte("\r")))
}

// bareEnd returns where a value without quotes ends that starts at text[at] and
// whose name starts at text[name]: before a blank, a quote that was opened
// earlier in the line, the next assignment of a list or query, or the punctuation
// that a sentence or a bracket puts behind it.
func bareEnd(text []byte, name, at int, sign byte) int {
	end := at
	if sign == '>' {
		return at + max(0, bytes.IndexByte(text[at:], '<'))
	}
	for end < len(text) && !isSpace(text[end]) {
		c := text[end]
		if (c == '&' || c == ',' || c == ';' || c == '|') && nextAssignment(text, end+1) {
			return end
		}
		if c == '\\' || isQuote(c) {
			if closes(text, name, end) {
				return end
			}
		}
		end++
	}
	return trimmed(text, at, end)
}

// nextAssignment reports whether a name and '=' start at text[at].
func nextAssignment(text []byte, at int) bool {
	end := at
	for end < min(len(text), at+maxKeyword) && (partOfWord(text[end]) || text[end] == '.' || end == at && text[end] == ' ') {
		end++
	}
	return end > at && end < len(text) && text[end] == '='
}

// closes reports whether the quote at text[at] was opened before text[name] in the
// same line, and not closed there.
func closes(text []byte, name, at int) bool {
	level, quote := quoteAt(text, at)
	if quote == 0 {
		return false
	}
	from := max(0, name-maxLookBack)
	from += bytes.LastIndexByte(text[from:name], '\n') + 1
	open, slashes := false, 0
	for _, c := range text[from:name] {
		if c == '\\' {
			slashes++
			continue
		}
		if c == quote && slashes == level {
			open = !open
		}
		slashes = 0
	}
	return open
}

// trimmed returns where text[at:end] ends without the punctuation behind it: a
// comma, semicolon or full stop, and brackets that were opened before.
func trimmed(text []byte, at, end int) int {
	for range 2 {
		if end <= at {
			break
		}
		open := bytes.IndexByte([]byte(")]}"), text[end-1])
		switch {
		case open >= 0 && bytes.IndexByte(text[at:end], "([{"[open]) < 0, bytes.IndexByte([]byte(",;"), text[end-1]) >= 0:
			end--
		default:
			return end
		}
	}
	return end
}
