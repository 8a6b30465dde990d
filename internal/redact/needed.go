package redact

import "regexp/syntax"

// minNeeded is how long a literal is at least for which lines are searched
// before a pattern is tried on them.
const minNeeded = 3

// needed returns the longest literal that every match of the pattern holds, nil
// if there is none of use: then the pattern is tried on every line.
func needed(pattern string) []byte {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	literal := longestLiteral(re.Simplify())
	if len(literal) < minNeeded {
		return nil
	}
	return []byte(literal)
}

func longestLiteral(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return ""
		}
		return string(re.Rune)
	case syntax.OpCapture, syntax.OpPlus:
		return longestLiteral(re.Sub[0])
	case syntax.OpConcat:
		longest := ""
		for _, sub := range re.Sub {
			if literal := longestLiteral(sub); len(literal) > len(longest) {
				longest = literal
			}
		}
		return longest
	default:
		return ""
	}
}
