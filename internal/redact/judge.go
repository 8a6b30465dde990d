package redact

import (
	"bytes"
	"regexp"
	"strings"
)

// innocentWords are values that no program takes for a secret: what help texts,
// settings and error messages put in its place.
var innocentWords = wordSet(`true false null none nil undefined nan yes no on off ok string str text bool boolean int integer number
	varchar char bytes object array list dict any optional required invalid incorrect missing wrong empty unset set hidden masked
	redacted removed omitted sensitive password passwd passphrase pass pwd secret token key value user username example prompt
	default disabled enabled unknown expired denied changed updated valid never always`)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

var (
	// placeholder is what stands for a value that is filled in elsewhere.
	placeholder = regexp.MustCompile(`\A(?:\$\{[^}]*\}|\$(?:[A-Z_][A-Z0-9_]*|[a-z_]+|\d)|\$\([A-Za-z_][\w./-]*\)?|%\(\w+\)s?|%[a-z]|\{\{-?(?:\s.*|[.$\w]*\}*)|\{[A-Za-z_.]*\}|<[^>]*>|@\w+@|\[redacted .*|[:!][a-z_]+|\?)\z`)
	// reference is code that has the value: a call, an attribute, an element.
	reference = regexp.MustCompile(`(?i)\A[a-z_$]\w*(?:[.:]{1,2}\w+)*[(\[.]`)
	// referent is in the names of what has, reads or makes secrets.
	referent = regexp.MustCompile(`(?i)\A(?:get|read|load|fetch|os|env|input|prompt|decode|encode|decrypt|encrypt|hash|generate|random|make|new|lookup|str|string|format|config|cfg|conf|settings|options|opts|args|argv|kwargs|flags?|request|req|self|this|props|params|form|process|secrets?|password|passwd|token|creds?|credentials?|vault|data|values|base|sha|quote|escape|urllib|bcrypt|crypt|validate|check|verify|compare|var|local|module|each|node|user|client|db|database|spec|metadata)`)
	// variable is the name of what holds a secret.
	variable = regexp.MustCompile(`\A(?:[a-z]+[_-])+(?:password|passwd|pwd|pass|secret|token|key)s?[),;]*\z|\A[A-Z_]*(?:PASSWORD|PASSWD|PWD|PASS|SECRET|TOKEN|KEY)S?[),;]*\z`)
	// directory is a path from a well-known folder.
	directory = regexp.MustCompile(`\A(?:[A-Za-z]:[/\\]|/(?:app|bin|boot|builds?|cache|cygdrive|data|dev|etc|github|home|lib|media|mnt|nix|opt|proc|private|root|run|sbin|secrets?|srv|sys|tmp|usr|var|vault|volumes?|workspaces?|work|Users|Volumes)(?:/|\z)|(?:~|\.\.?)/)`)
	timestamp = regexp.MustCompile(`\A\d{4}-?\d{2}-?\d{2}(?:[T_ -]?\d{2}[:.-]?\d{2}.*)?\z`)
	// wordPart is a part of what people write, in kebab case say: a word, a short
	// number, a version.
	wordPart = regexp.MustCompile(`\A(?:[a-z]*|[A-Z]?[a-z]+|[A-Z]+|[0-9]{1,4}|v[0-9]{1,3}|[a-z]{2,12}[0-9]{1,2})\z`)
)

// innocent reports whether v, of at least minSecret bytes, stands for a secret
// rather than being one.
func innocent(v []byte) bool {
	switch bare := bytes.Trim(v, ".,;:!?()[]{}"); {
	case innocentWords[strings.ToLower(string(bare))], uniform(v), placeholder.Match(v), directory.Match(v), variable.Match(v):
		return true
	default:
		return reference.Match(v) && referent.Match(v)
	}
}

// uniform reports whether v is one byte over and over, as ****** is, without
// letters and digits other than x.
func uniform(v []byte) bool {
	for _, c := range v {
		if c != v[0] {
			return false
		}
	}
	return len(v) > 0 && (!word(v[0]) || v[0] == 'x' || v[0] == 'X' || v[0] == '_')
}

// unlikeProse reports whether v cannot be a word of a sentence: it has a digit or
// a sign within it, or a capital behind a small letter.
func unlikeProse(v []byte) bool {
	v = bytes.TrimRight(v, ".,;:!?)]}'\"")
	return len(v) >= minSecret && !timestamp.Match(v) && !assigns(v) && notWords.Match(v)
}

// notWords matches what is in no sentence.
var notWords = regexp.MustCompile("[0-9]|[a-z][A-Z]|[^A-Za-z0-9_'./,:()<>\\[\\]{}\"`-]")

// assigns reports whether v is name=value itself, with a name of letters.
func assigns(v []byte) bool {
	at := after(v, 0, func(c byte) bool { return word(c) && !isDigit(c) })
	return at > 0 && at < len(v) && v[at] == '='
}

// random reports whether v looks made by a machine to be a secret: letters and
// digits that no name, version or time has.
func random(v []byte) bool {
	if !bytes.ContainsAny(v, letters) || !bytes.ContainsAny(v, digits) || timestamp.Match(v) {
		return false
	}
	for part := range bytes.FieldsFuncSeq(v, func(c rune) bool { return strings.ContainsRune("-_./:,~+=@", c) }) {
		if !wordPart.Match(part) {
			return true
		}
	}
	return false
}
