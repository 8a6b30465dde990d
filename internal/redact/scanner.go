package redact

import "bytes"

// window is how many bytes of a keyword are looked for; no keyword is shorter.
const window = 4

// maxShift is how far a search moves where the two bytes that it looks at are
// in no keyword's window: the search of Wu and Manber.
const maxShift = window - 1

// scanner finds the keywords of rules.
type scanner struct {
	// shifts has for every two bytes how far the end of the window may move.
	shifts [1 << 16]uint8
	// ending has the keywords whose window ends with two bytes.
	ending map[uint16][]keyword
}

// keyword is a literal that starts what a rule is about.
type keyword struct {
	text []byte
	// fold is true if the text is in lower case and stands for any case.
	fold bool
	// offset is where its window starts.
	offset int
	rule   *rule
}

func newScanner(rules []*rule) *scanner {
	s := &scanner{ending: map[uint16][]keyword{}}
	for i := range s.shifts {
		s.shifts[i] = maxShift
	}
	for _, r := range rules {
		for _, text := range r.keywords {
			k := keyword{text: []byte(text), fold: r.fold, rule: r}
			k.offset = rarest(k.text)
			s.add(k)
		}
	}
	return s
}

func (s *scanner) add(k keyword) {
	in := k.text[k.offset : k.offset+window]
	for shift := range uint8(maxShift) {
		at := maxShift - 1 - int(shift)
		for _, pair := range cases(in[at], in[at+1], k.fold) {
			s.shifts[pair] = min(s.shifts[pair], shift)
			if shift == 0 {
				s.ending[pair] = append(s.ending[pair], k)
			}
		}
	}
}

// cases returns both bytes as one number, in every case that counts.
func cases(a, b byte, fold bool) []uint16 {
	pairs := []uint16{pair(a, b)}
	if !fold {
		return pairs
	}
	upperA, upperB := upper(a), upper(b)
	if upperA != a {
		pairs = append(pairs, pair(upperA, b))
	}
	if upperB != b {
		pairs = append(pairs, pair(a, upperB))
	}
	if upperA != a && upperB != b {
		pairs = append(pairs, pair(upperA, upperB))
	}
	return pairs
}

func pair(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// rarest returns where in text the window starts whose last two bytes are the
// least common in logs: where they are found, keywords have to be compared.
func rarest(text []byte) int {
	best, lowest := 0, 1<<10
	for at := range len(text) - window + 1 {
		common := commonness(text[at+window-2]) + commonness(text[at+window-1])
		if common < lowest {
			best, lowest = at, common
		}
	}
	return best
}

// commonness ranks bytes by how common they are in logs.
func commonness(c byte) int {
	if at := bytes.IndexByte([]byte("etaoinsrhldcum"), c); at >= 0 {
		return 20 - at
	}
	switch {
	case 'a' <= c && c <= 'z':
		return 4
	case '0' <= c && c <= '9', c == '-', c == ':', c == '"', c == '=':
		return 8
	default:
		return 2
	}
}

// next returns the first keyword in text whose window ends at from or later:
// where the keyword starts, where the search goes on, and its candidates; none
// at the end of text.
func (s *scanner) next(text []byte, from int) (end int, candidates []keyword) {
	for at := max(from, window-1); at < len(text); {
		found := pair(text[at-1], text[at])
		if shift := s.shifts[found]; shift > 0 {
			at += int(shift)
			continue
		}
		return at, s.ending[found]
	}
	return len(text), nil
}

// at returns where k starts if its window ends at end, and whether it does.
func (k *keyword) at(text []byte, end int) (start int, found bool) {
	start = end - window + 1 - k.offset
	if start < 0 || start+len(k.text) > len(text) {
		return 0, false
	}
	candidate := text[start : start+len(k.text)]
	if !k.fold {
		return start, bytes.Equal(candidate, k.text)
	}
	return start, bytes.EqualFold(candidate, k.text)
}
