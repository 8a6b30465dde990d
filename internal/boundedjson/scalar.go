package boundedjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// maxLiteral is how long a number may be.
	maxLiteral = 64
	// smallToken is how long a name may be even where no memory is left.
	smallToken = 1 << 10
)

// readString reads a string, which is token then, quotes included, where keep is
// true.
func (d *Decoder) readString(keep bool) error {
	d.token = append(d.token[:0], '"')
	d.next()
	for escaped := false; ; {
		c, err := d.read()
		switch {
		case err != nil:
			return err
		case c < ' ':
			return fmt.Errorf("%w: %q in a string", ErrInvalid, c)
		case keep && d.tooLong():
			return fmt.Errorf("%w: a string is too long", ErrLimit)
		case keep:
			d.token = append(d.token, c)
		}
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			return nil
		}
	}
}

// tooLong reports whether nothing more may be added to token.
func (d *Decoder) tooLong() bool {
	return int64(len(d.token)) > d.memory+smallToken || d.MaxString > 0 && len(d.token)-1 > d.MaxString
}

// readLiteral reads a number, true, false or null, which is token then.
func (d *Decoder) readLiteral() error {
	d.token = d.token[:0]
	for {
		c, err := d.peekByte()
		if err == nil && literal(c) && len(d.token) < maxLiteral {
			d.token = append(d.token, c)
			d.next()
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !json.Valid(d.token) {
			return fmt.Errorf("%w: %q", ErrInvalid, d.token)
		}
		return nil
	}
}

func literal(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || bytes.IndexByte([]byte("+-.E"), c) >= 0
}

// scalar decodes token into v.
func (d *Decoder) scalar(v reflect.Value) error {
	if string(d.token) == "null" {
		v.SetZero()
		return nil
	}
	v, err := d.pointed(v)
	if err != nil {
		return err
	}
	switch text := d.token[0] == '"'; {
	case text && v.Kind() == reflect.String:
		value, err := d.string()
		v.SetString(value)
		return err
	case text:
		return mismatch(v)
	case v.Kind() == reflect.Bool && (d.token[0] == 't' || d.token[0] == 'f'):
		v.SetBool(d.token[0] == 't')
		return nil
	default:
		return d.number(v)
	}
}

// number decodes token into v, if both are integers.
func (d *Decoder) number(v reflect.Value) error {
	switch {
	case v.CanInt():
		n, err := strconv.ParseInt(string(d.token), 10, 64)
		if err != nil || v.OverflowInt(n) {
			return mismatch(v)
		}
		v.SetInt(n)
		return nil
	case v.CanUint():
		n, err := strconv.ParseUint(string(d.token), 10, 64)
		if err != nil || v.OverflowUint(n) {
			return mismatch(v)
		}
		v.SetUint(n)
		return nil
	default:
		return mismatch(v)
	}
}

// string returns token, which is a string, decoded. As by package encoding/json, a byte
// that is not UTF-8, and half a surrogate pair, become U+FFFD.
func (d *Decoder) string() (string, error) {
	raw := d.token[1 : len(d.token)-1]
	if bytes.IndexByte(raw, '\\') >= 0 || !utf8.Valid(raw) {
		var err error
		if d.decoded, err = appendDecoded(d.decoded[:0], raw); err != nil {
			return "", err
		}
		raw = d.decoded
	}
	if err := d.take(int64(len(raw))); err != nil {
		return "", err
	}
	return string(raw), nil
}

// appendDecoded appends raw, the text between the quotes of a string, decoded.
func appendDecoded(decoded, raw []byte) ([]byte, error) {
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if r == '\\' {
			if r, size = escaped(raw); size == 0 {
				return nil, fmt.Errorf("%w: an escape that is none", ErrInvalid)
			}
		}
		decoded = utf8.AppendRune(decoded, r)
		raw = raw[size:]
	}
	return decoded, nil
}

// escaped returns the character for which the escape at the start of raw stands, and
// the size of the escape, 0 if it is none.
func escaped(raw []byte) (r rune, size int) {
	const short, stand = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if i := strings.IndexByte(short, raw[1]); i >= 0 {
		return rune(stand[i]), 2
	}
	r, ok := hex(raw)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, unicodeSize
	}
	second, _ := hex(raw[unicodeSize:])
	if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
		return pair, 2 * unicodeSize
	}
	return utf8.RuneError, unicodeSize
}

// unicodeSize is the size of an escape such as \u00e4.
const unicodeSize = 6

func hex(raw []byte) (rune, bool) {
	if len(raw) < unicodeSize || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:unicodeSize]), 16, 16)
	return rune(n), err == nil
}
