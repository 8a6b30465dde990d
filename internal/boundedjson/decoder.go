package boundedjson

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

const (
	// Ratio is how many bytes a value that Unmarshal decodes takes at most for each byte
	// of text, besides a fixed amount.
	Ratio = 16
	// fixed is that amount, in bytes.
	fixed = 4 << 10
	// maxDepth is how deep values may be nested.
	maxDepth = 64
)

var (
	// ErrLimit is returned for input that is longer, is nested deeper, or takes more
	// memory, than allowed.
	ErrLimit = errors.New("over the limit")
	// ErrInvalid is returned for input that is not JSON, or not of the type that is expected.
	ErrInvalid = errors.New("not the JSON that is expected")
)

// Decoder reads JSON values, one after the other.
type Decoder struct {
	// MaxString is how long a string may be that is kept, as it is written; 0: as long
	// as there is memory for it.
	MaxString int

	input
	// memory is what the value may still take, in bytes, most what it might at first.
	memory, most int64
	// token is the string or literal that was read last, decoded is memory to decode it.
	token, decoded []byte

	fields map[reflect.Type]map[string]int
}

// NewDecoder returns a Decoder of what source has, which may be size bytes at most.
func NewDecoder(source io.Reader, size int64) *Decoder {
	return &Decoder{input: input{source: source, size: size}, fields: map[reflect.Type]map[string]int{}}
}

// Unmarshal decodes text, which is one value, into the variable that into points to.
// The value takes no more memory than Ratio for each byte of text, and some KiB. The
// error wraps ErrLimit or ErrInvalid.
func Unmarshal(text string, into any) error {
	d := NewDecoder(strings.NewReader(text), int64(len(text)))
	err := d.Decode(into, Ratio*int64(len(text))+fixed)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: there is no value", ErrInvalid)
	}
	if err != nil {
		return err
	}
	switch _, err := d.peek(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	default:
		return fmt.Errorf("%w: there is more than one value", ErrInvalid)
	}
}

// Decode decodes the next value into the variable that into points to. It takes at
// most memory bytes, and as much again while slices and maps grow. The error is io.EOF where there is no further value; else it wraps
// ErrLimit, ErrInvalid, or that of the source. No value can be decoded after an error.
func (d *Decoder) Decode(into any, memory int64) error {
	d.memory, d.most = memory, memory
	if _, err := d.peek(); err != nil {
		return err
	}
	err := d.value(reflect.ValueOf(into).Elem(), maxDepth)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it ends within a value", ErrInvalid)
	}
	return err
}

// Taken returns how many bytes of memory the value that was decoded last takes.
func (d *Decoder) Taken() int64 { return d.most - d.memory }

// take notes that so much memory is about to be allocated.
func (d *Decoder) take(size int64) error {
	if d.memory -= size; d.memory < 0 {
		return fmt.Errorf("%w: a value takes too much memory", ErrLimit)
	}
	return nil
}

// value decodes the next value into v, or skips it where v is the zero Value.
func (d *Decoder) value(v reflect.Value, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%w: values are nested too deep", ErrLimit)
	}
	c, err := d.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{', '[':
		d.next()
		if v, err = d.pointed(v); err != nil {
			return err
		}
		return d.composite(c, v, depth-1)
	case '"':
		err = d.readString(v.IsValid())
	default:
		err = d.readLiteral()
	}
	if err != nil || !v.IsValid() {
		return err
	}
	return d.scalar(v)
}

// composite decodes the object or the array that c opened.
func (d *Decoder) composite(c byte, v reflect.Value, depth int) error {
	switch {
	case !v.IsValid() && c == '{':
		return d.each('}', func() error { return d.member(func() (reflect.Value, error) { return v, nil }, depth) })
	case !v.IsValid():
		return d.each(']', func() error { return d.value(v, depth) })
	case c == '{' && v.Kind() == reflect.Struct:
		return d.object(v, depth)
	case c == '{' && v.Kind() == reflect.Map:
		return d.mapping(v, depth)
	case c == '[' && v.Kind() == reflect.Slice:
		return d.array(v, depth)
	default:
		return mismatch(v)
	}
}

// pointed returns what v points to, where it is a pointer.
func (d *Decoder) pointed(v reflect.Value) (reflect.Value, error) {
	for v.IsValid() && v.Kind() == reflect.Pointer {
		if v.IsNil() {
			if err := d.take(sizeOf(v.Type().Elem())); err != nil {
				return v, err
			}
			v.Set(reflect.New(v.Type().Elem()))
		}
		v = v.Elem()
	}
	return v, nil
}

// sizeOf returns how many bytes a value of the type takes, without what it points to.
func sizeOf(t reflect.Type) int64 {
	return int64(t.Size()) //nolint:gosec // no type has 2^63 bytes
}

func mismatch(v reflect.Value) error {
	return fmt.Errorf("%w: a value is not of type %s", ErrInvalid, v.Type())
}
