package boundedjson

import (
	"fmt"
	"reflect"
	"strings"
)

const (
	// entryShare is how often a map takes the size of an entry at most: it is at least
	// 7/16 full. entryExtra is more than an entry takes besides, in bytes.
	entryShare = 3
	entryExtra = 32
)

// each calls element for each element up to the byte that ends the object or array.
func (d *Decoder) each(end byte, element func() error) error {
	c, err := d.peek()
	if err != nil {
		return err
	}
	if c == end {
		d.next()
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		c, err := d.peek()
		if err != nil {
			return err
		}
		d.next()
		switch c {
		case end:
			return nil
		case ',':
		default:
			return fmt.Errorf("%w: %q instead of a comma", ErrInvalid, c)
		}
	}
}

// member decodes a key and its value. target returns where the value goes, given
// that token is the key.
func (d *Decoder) member(target func() (reflect.Value, error), depth int) error {
	if c, err := d.peek(); err != nil {
		return err
	} else if c != '"' {
		return fmt.Errorf("%w: %q instead of a key", ErrInvalid, c)
	}
	if err := d.readString(true); err != nil {
		return err
	}
	v, err := target()
	if err != nil {
		return err
	}
	if c, err := d.peek(); err != nil {
		return err
	} else if c != ':' {
		return fmt.Errorf("%w: %q instead of a colon", ErrInvalid, c)
	}
	d.next()
	return d.value(v, depth)
}

// object decodes the members of an object into a struct.
func (d *Decoder) object(v reflect.Value, depth int) error {
	fields := d.fieldsOf(v.Type())
	field := func() (reflect.Value, error) { //nolint:unparam // As for a map, where a key may be invalid.
		// A key with an escape in it is none of ours.
		if i, known := fields[string(d.token[1:len(d.token)-1])]; known {
			return v.Field(i), nil
		}
		return reflect.Value{}, nil
	}
	return d.each('}', func() error { return d.member(field, depth) })
}

// fieldsOf returns the fields of a struct by their names in JSON.
func (d *Decoder) fieldsOf(t reflect.Type) map[string]int {
	if known := d.fields[t]; known != nil {
		return known
	}
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "-" && name != "" {
			fields[name] = i
		}
	}
	d.fields[t] = fields
	return fields
}

// mapping decodes the members of an object into a map.
func (d *Decoder) mapping(v reflect.Value, depth int) error {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	key, elem := v.Type().Key(), v.Type().Elem()
	entry := entryShare*(sizeOf(key)+sizeOf(elem)) + entryExtra
	return d.each('}', func() error {
		name, value := reflect.New(key).Elem(), reflect.New(elem).Elem()
		target := func() (reflect.Value, error) {
			if err := d.take(entry); err != nil {
				return value, err
			}
			return value, d.scalar(name)
		}
		if err := d.member(target, depth); err != nil {
			return err
		}
		v.SetMapIndex(name, value)
		return nil
	})
}

// array decodes the elements of an array into a slice.
func (d *Decoder) array(v reflect.Value, depth int) error {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	size := sizeOf(v.Type().Elem())
	return d.each(']', func() error {
		at := v.Len()
		if at == v.Cap() {
			more := max(1, 2*at)
			if err := d.take(size * int64(more-at)); err != nil {
				return err
			}
			grown := reflect.MakeSlice(v.Type(), at, more)
			reflect.Copy(grown, v)
			v.Set(grown)
		}
		v.SetLen(at + 1)
		return d.value(v.Index(at), depth)
	})
}
