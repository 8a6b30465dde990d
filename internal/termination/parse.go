package termination

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// ContainerLimit is how many bytes of a message the kubelet keeps of one
	// container: the last ones.
	ContainerLimit = 4 << 10
	// podLimit is what the messages of a pod have in all; each of its
	// containers has an equal part, of which the first bytes are kept.
	podLimit = 12 << 10
)

// Value is one result as its container reported it.
type Value struct {
	// Key is any text; not always one that an object's data may have.
	Key string
	// Text is a string as it is, and a number, a boolean or null as it is
	// spelled in JSON. It may hold any character.
	Text string
}

// MayBeCut reports whether message, of a container in a pod of so many, is as
// long as it can be: it may lack its beginning or its end.
func MayBeCut(message string, containers int) bool {
	return len(message) >= min(ContainerLimit, podLimit/max(1, containers))
}

// Parse returns the values that a message reports, in the order in which their
// keys come first; nil if it is not a report. A report is one of
//
//   - a flat JSON object, so one without arrays and objects in it;
//   - lines of the form key=value, unless the message may be cut. Blanks around
//     either and blank lines do not count; keys have no blanks in them and
//     values may be empty.
//
// Of a key that is there more than once the last value counts. A byte order
// mark is skipped; a message that is not valid UTF-8 is no report.
func Parse(message string, mayBeCut bool) []Value {
	message = strings.TrimPrefix(message, "\ufeff")
	if !utf8.ValidString(message) {
		return nil
	}
	if strings.HasPrefix(strings.TrimSpace(message), "{") {
		return parseObject(message)
	}
	if mayBeCut {
		return nil
	}
	return parseLines(message)
}

var errNotFlat = errors.New("not a flat object")

func parseObject(message string) []Value {
	decoder := json.NewDecoder(strings.NewReader(message))
	decoder.UseNumber()
	if _, err := decoder.Token(); err != nil {
		return nil
	}
	var found report
	for decoder.More() {
		key, err := scalar(decoder)
		if err != nil {
			return nil
		}
		text, err := scalar(decoder)
		if err != nil || lossy(message, key) || lossy(message, text) {
			return nil
		}
		found.set(key, text)
	}
	if _, err := decoder.Token(); err != nil {
		return nil
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil
	}
	return found.values
}

// scalar returns the next token as text.
func scalar(decoder *json.Decoder) (string, error) {
	token, err := decoder.Token()
	if err != nil {
		return "", errNotFlat
	}
	switch v := token.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return strconv.FormatBool(v), nil
	case nil:
		return "null", nil
	default:
		return "", errNotFlat
	}
}

// lossy reports whether text is not what message says: decoding puts the
// replacement character in place of half a surrogate pair.
func lossy(message, text string) bool {
	const replacement = "\ufffd"
	return strings.Contains(text, replacement) &&
		!strings.Contains(message, replacement) && !strings.Contains(strings.ToLower(message), `\ufffd`)
}

func parseLines(message string) []Value {
	var found report
	for line := range strings.Lines(message) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		key, text, ok := strings.Cut(line, "=")
		key, text = strings.TrimRightFunc(key, unicode.IsSpace), strings.TrimLeftFunc(text, unicode.IsSpace)
		if !ok || key == "" || strings.ContainsFunc(key, blankOrControl) || strings.ContainsFunc(text, control) {
			return nil
		}
		found.set(key, text)
	}
	return found.values
}

func blankOrControl(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// control reports whether r has no place in a line of text.
func control(r rune) bool { return unicode.IsControl(r) && r != '\t' }

// report collects values by key, in the order in which keys come first.
type report struct {
	values []Value
	at     map[string]int
}

func (r *report) set(key, text string) {
	if i, known := r.at[key]; known {
		r.values[i].Text = text
		return
	}
	if r.at == nil {
		r.at = map[string]int{}
	}
	r.at[key] = len(r.values)
	r.values = append(r.values, Value{Key: key, Text: text})
}
