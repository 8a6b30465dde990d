package logtext

import (
	"encoding/binary"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// AppendReadable appends the readable form of raw to dst. Newlines, tabs and
// printable characters stay as they are and CRLF becomes a newline. Everything
// that could steer a terminal or deceive a reader becomes visible: control
// characters and bytes that are not UTF-8 as \x1b, a carriage return as \r,
// invisible format characters such as those for text direction as \u202e. The
// result is valid UTF-8 and stays the same if made readable again.
func AppendReadable(dst, raw []byte) []byte {
	for len(raw) > 0 {
		run := plainRun(raw)
		dst = append(dst, raw[:run]...)
		raw = raw[run:]
		if len(raw) == 0 {
			break
		}
		u := special(raw)
		dst = u.append(dst, raw)
		raw = raw[u.size:]
	}
	return dst
}

// ReadableSize returns how many bytes AppendReadable appends for raw.
func ReadableSize(raw []byte) int {
	size := 0
	for len(raw) > 0 {
		run := plainRun(raw)
		size += run
		raw = raw[run:]
		if len(raw) == 0 {
			break
		}
		u := special(raw)
		size += u.width()
		raw = raw[u.size:]
	}
	return size
}

// fittingPrefix returns the length of the longest prefix of raw whose readable
// form has at most room bytes and that splits no unit.
func fittingPrefix(raw []byte, room int) int {
	at := 0
	for at < len(raw) {
		run := min(plainRun(raw[at:]), room)
		at += run
		room -= run
		if at == len(raw) || plain[raw[at]] {
			return at
		}
		u := special(raw[at:])
		if u.width() > room {
			return at
		}
		at += u.size
		room -= u.width()
	}
	return at
}

// fittingSuffix returns the start of the longest suffix of raw whose readable
// form has at most room bytes and that splits no unit.
func fittingSuffix(raw []byte, room int) int {
	excess := ReadableSize(raw) - room
	at := 0
	for excess > 0 && at < len(raw) {
		run := min(plainRun(raw[at:]), excess)
		at += run
		excess -= run
		if excess == 0 {
			return at
		}
		u := special(raw[at:])
		at += u.size
		excess -= u.width()
	}
	return at
}

// plain marks the bytes that stand for themselves.
var plain = func() (table [256]bool) {
	for c := ' '; c <= '~'; c++ {
		table[c] = true
	}
	table['\n'], table['\t'] = true, true
	return table
}()

// plainRun returns how many bytes at the start of raw stand for themselves.
func plainRun(raw []byte) int {
	at := 0
	for ; at+8 <= len(raw); at += 8 {
		if mayBeSpecial(binary.LittleEndian.Uint64(raw[at:])) && !allPlain(raw[at:at+8]) {
			break
		}
	}
	for at < len(raw) && plain[raw[at]] {
		at++
	}
	return at
}

// mayBeSpecial reports whether one of eight bytes is not from ' ' to '~', by
// what adding to all of them at once does to their highest bits.
func mayBeSpecial(eight uint64) bool {
	const ones = 0x0101010101010101
	return ((eight-ones*' ')|(eight+ones)|eight)&(ones<<7) != 0
}

func allPlain(raw []byte) bool {
	for _, c := range raw {
		if !plain[c] {
			return false
		}
	}
	return true
}

type form uint8

const (
	verbatim form = iota // a printable character beyond ASCII
	lineEnd              // CRLF
	carriage             // \r
	hexByte              // \x1b
	short                // \u202e
	long                 // \U000e0001
)

// unit is the smallest piece of raw text that has a readable form.
type unit struct {
	size int
	form form
}

// special returns the first unit of raw, which starts with a byte that is not
// plain.
func special(raw []byte) unit {
	c := raw[0]
	if c == '\r' {
		if len(raw) > 1 && raw[1] == '\n' {
			return unit{size: 2, form: lineEnd}
		}
		return unit{size: 1, form: carriage}
	}
	if c < utf8.RuneSelf {
		return unit{size: 1, form: hexByte}
	}
	r, size := utf8.DecodeRune(raw)
	switch {
	case r == utf8.RuneError && size <= 1:
		return unit{size: 1, form: hexByte}
	case !hidden(r):
		return unit{size: size, form: verbatim}
	case r > 0xffff:
		return unit{size: size, form: long}
	default:
		return unit{size: size, form: short}
	}
}

// hidden reports whether r, beyond ASCII, is a control, a format character or
// a line separator.
func hidden(r rune) bool {
	if r >= 0x2070 && r < 0xe000 {
		return false
	}
	return r < 0xa0 || r == 0x2028 || r == 0x2029 || unicode.Is(unicode.Cf, r)
}

func (u unit) width() int {
	switch u.form {
	case lineEnd:
		return 1
	case carriage:
		return len(`\r`)
	case hexByte:
		return len(`\x00`)
	case short:
		return len(`\u0000`)
	case long:
		return len(`\U00000000`)
	default:
		return u.size
	}
}

func (u unit) append(dst, raw []byte) []byte {
	const digits = "0123456789abcdef"
	switch u.form {
	case lineEnd:
		return append(dst, '\n')
	case carriage:
		return append(dst, '\\', 'r')
	case hexByte:
		return append(dst, '\\', 'x', digits[raw[0]>>4], digits[raw[0]&15])
	case short, long:
		r, _ := utf8.DecodeRune(raw)
		return appendEscaped(dst, r, u.form)
	default:
		return append(dst, raw[:u.size]...)
	}
}

func appendEscaped(dst []byte, r rune, f form) []byte {
	if f == long {
		return fmt.Appendf(dst, `\U%08x`, r)
	}
	return fmt.Appendf(dst, `\u%04x`, r)
}
