package resultsview

import "bytes"

// LastLines returns the last n lines of text, the last counted also where no
// newline ends it; all of text if it has no more, nothing if n is not positive.
func LastLines(text []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	end := len(text)
	if end > 0 && text[end-1] == '\n' {
		end--
	}
	for range n {
		end = bytes.LastIndexByte(text[:end], '\n')
		if end < 0 {
			return text
		}
	}
	return text[end+1:]
}
