package redact

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxUserinfo is how long a user's name and password in a URL may be, in bytes.
const maxUserinfo = 512

// nameOf returns where the name ends of which line[:end] ends with a keyword. That may
// have the byte behind the name as well; and a name may have more: a number, or that it
// confirms another.
func nameOf(line []byte, end int) (nameEnd int) {
	if !word(line[end-1]) {
		return end - 1
	}
	for _, more := range []string{"_confirmation", "_confirm", "Confirmation"} {
		if bytes.HasPrefix(line[end:], []byte(more)) {
			return end + len(more)
		}
	}
	for n := 0; n < 2 && end < len(line) && isDigit(line[end]); n++ {
		end++
	}
	return end
}

// locatePassword finds what is assigned to a name that says that it is a password.
func locatePassword(line []byte, start, end int) (from, to int, found bool) {
	nameEnd := nameOf(line, end)
	if !borders(line, start) {
		return 0, 0, false
	}
	v, found := assignedAt(line, start, nameEnd)
	if !found || v.to-v.from < minSecret || innocent(line[v.from:v.to]) {
		return 0, 0, false
	}
	if !v.quoted && (v.sign == ':' || v.sign == ' ') && !unlikeProse(line[v.from:v.to]) {
		return 0, 0, false
	}
	return v.from, v.to, true
}

// borders reports whether a short name at line[start] is a word of its own, or the
// last of a name in camel case, rather than the end of another word.
func borders(line []byte, start int) bool {
	if start == 0 || line[start] != 'p' && line[start] != 'P' || bytes.EqualFold(line[start:min(len(line), start+4)], []byte("pass")) {
		return true
	}
	before := line[start-1]
	return !word(before) || before == '_' || line[start] == 'P' && 'a' <= before && before <= 'z'
}

// pagers are names of tokens that only say where a list goes on.
var pagers = regexp.MustCompile(`(?i)(?:page|next|continue|continuation|sync|cursor|resume|cancel|csrf|xsrf)[_-]?\z`)

// locateSecret finds what is assigned to a name that may be that of a secret, if it
// looks like one.
func locateSecret(line []byte, start, end int) (from, to int, found bool) {
	v, found := assignedAt(line, start, nameOf(line, end))
	switch {
	case !found || v.to-v.from < 2*minSecret || innocent(line[v.from:v.to]) || !random(line[v.from:v.to]),
		bytes.ContainsAny(line[v.from:v.to], " \t"), pagers.Match(line[max(0, start-16):start]), start > 0 && line[start-1] == '/', isToken(line[v.from:]):
		return 0, 0, false
	}
	return v.from, v.to, true
}

// tokens are the rules for tokens that are told by how they start.
var tokens = sync.OnceValue(func() []*rule {
	return slices.DeleteFunc(slices.Concat(cloudRules(), serviceRules()), func(r *rule) bool { return !r.token })
})

// isToken reports whether text starts with what another rule names better.
func isToken(text []byte) bool {
	return slices.ContainsFunc(tokens(), func(r *rule) bool { return r.re.Match(text) })
}

// locateURLToken finds what is assigned to a name of OAuth.
func locateURLToken(line []byte, start, end int) (from, to int, found bool) {
	v, found := assignedAt(line, start, end)
	if !found || v.to-v.from < 2*minSecret || innocent(line[v.from:v.to]) || v.sign != '=' && !random(line[v.from:v.to]) {
		return 0, 0, false
	}
	return v.from, v.to, true
}

// locateLogin finds the login for a registry: a user's name and password in
// base64, or a whole file of them.
func locateLogin(line []byte, start, end int) (from, to int, found bool) {
	v, found := assignedAt(line, start, end)
	if !found || v.sign == ' ' {
		return 0, 0, false
	}
	coded := line[v.from:v.to]
	if end-start > len("auth") {
		return v.from, v.to, len(coded) >= 4*minSecret && after(coded, 0, partOfToken) == len(coded)
	}
	if v.quoted && len(coded) > maxMatch/2 {
		return 0, 0, false
	}
	plain, err := base64.RawStdEncoding.AppendDecode(nil, bytes.TrimRight(coded, "="))
	login := err == nil && bytes.IndexByte(plain, ':') > 0 && utf8.Valid(plain) && bytes.IndexFunc(plain, unicode.IsControl) < 0
	return v.from, v.to, login
}

// mailgunKey is matched where "key-" starts.
var mailgunKey = anchored(`key-[a-f0-9]{32}\b`)

// locateMailgunKey finds a key of Mailgun, unless "key-" is part of another word.
func locateMailgunKey(line []byte, start, _ int) (from, to int, found bool) {
	if start > 0 && partOfWord(line[start-1]) {
		return 0, 0, false
	}
	m := mailgunKey.FindIndex(line[start:])
	if m == nil {
		return 0, 0, false
	}
	return start, after(line, start+m[1], partOfWord), true
}

// locateURLPassword finds the password in a URL, of which the byte before "://" is
// line[start]. The user's name and password end with the last '@' before the path,
// or, if what stands behind the ':' is no port, before the URL's end.
func locateURLPassword(line []byte, start, end int) (from, to int, found bool) {
	limit := min(len(line), end+maxUserinfo)
	colon := -1
	for at := end; at < limit; at++ {
		c := line[at]
		if c == ':' {
			colon = at
			break
		}
		if isSpace(c) || bytes.IndexByte([]byte("/?#@<>[]"), c) >= 0 || isQuote(c) {
			return 0, 0, false
		}
	}
	if colon < 0 {
		return 0, 0, false
	}
	from, to = colon+1, atSign(line, start, colon+1, limit)
	if to < from+1 || isDigest(line[to+1:]) || innocent(line[from:to]) {
		return 0, 0, false
	}
	return from, to, true
}

// atSign returns where the '@' is that ends a password at line[from], -1 if there
// is none.
func atSign(line []byte, name, from, limit int) int {
	last, port := -1, true
	for at := from; at < limit; at++ {
		c := line[at]
		switch {
		case endsURL(line, name, at):
			return last
		case c == '@':
			last = at
		case c == '/', c == '?', c == '#':
			if last >= 0 || port {
				return last
			}
		default:
			// A placeholder may stand for a port.
			port = port && (isDigit(c) || at == from && bytes.IndexByte([]byte("${%"), c) >= 0)
		}
	}
	return last
}

// endsURL reports whether line[at] is behind a URL whose scheme ends at line[name].
func endsURL(line []byte, name, at int) bool {
	switch c := line[at]; c {
	case '<', '>', '[':
		return true
	case ':':
		return hasAny(line[at:], "://")
	case '\\':
		return closes(line, name, at)
	default:
		return isSpace(c) || isQuote(c) && closes(line, name, at)
	}
}

// isDigest reports whether what follows an '@' is the digest of an image.
func isDigest(text []byte) bool { return hasAny(text, "sha256:", "sha512:") }
