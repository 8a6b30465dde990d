package logpack

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// gzipped returns each text as a gzip file, in one piece.
func gzipped(texts ...string) []byte {
	var out bytes.Buffer
	for _, text := range texts {
		withPacked([]byte(text), func(packed []byte) { out.Write(packed) })
	}
	return out.Bytes()
}

// spoiled returns packed with another byte at a place, counted from the end if negative.
func spoiled(packed []byte, at int) []byte {
	packed = bytes.Clone(packed)
	if at < 0 {
		at += len(packed)
	}
	packed[at] ^= 0xff
	return packed
}

// TestUnpack has the bounds be kept in both ways to read.
func TestUnpack(t *testing.T) {
	long := strings.Repeat("a line of a log\n", 1<<14)
	one := gzipped("one\n")
	tests := map[string]struct {
		packed []byte
		limit  int64
		text   string
		err    error
	}{
		"one file":                 {packed: one, limit: 4, text: "one\n"},
		"less than may be":         {packed: one, limit: 1 << 40, text: "one\n"},
		"several files":            {packed: gzipped("one\n", "two\n", "three"), limit: 13, text: "one\ntwo\nthree"},
		"files without text":       {packed: gzipped("", "one\n", ""), limit: 4, text: "one\n"},
		"more than a piece":        {packed: gzipped(long), limit: int64(len(long)), text: long},
		"a byte too many":          {packed: gzipped(long), limit: int64(len(long)) - 1, text: long[:len(long)-1], err: ErrMore},
		"a byte too many, short":   {packed: one, limit: 3, text: "one", err: ErrMore},
		"a file too many":          {packed: gzipped("one\n", "two\n"), limit: 4, text: "one\n", err: ErrMore},
		"nothing may be":           {packed: one, limit: 0, err: ErrMore},
		"nothing":                  {limit: 4, err: io.ErrUnexpectedEOF},
		"no gzip file":             {packed: []byte("one\ntwo\nthree\n"), limit: 4, err: gzip.ErrHeader},
		"something else behind it": {packed: append(bytes.Clone(one), "trailing data"...), limit: 4, text: "one\n", err: gzip.ErrHeader},
		"zeros behind it":          {packed: append(bytes.Clone(one), make([]byte, 16)...), limit: 4, text: "one\n", err: gzip.ErrHeader},
		"breaks off":               {packed: one[:len(one)-1], limit: 4, text: "one\n", err: io.ErrUnexpectedEOF},
		"breaks off at its start":  {packed: one[:5], limit: 4, err: io.ErrUnexpectedEOF},
		"another sum":              {packed: spoiled(one, -8), limit: 4, text: "one\n", err: gzip.ErrChecksum},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			text, err := Unpack(bytes.NewReader(tc.packed), tc.limit)
			if string(text) != tc.text || !errors.Is(err, tc.err) {
				t.Errorf("Unpack: %d bytes, %.20q, %v", len(text), text, err)
			}
			if int64(cap(text)) > tc.limit+1 {
				t.Errorf("it takes %d bytes", cap(text))
			}
			if tc.packed == nil || tc.limit > 1<<20 {
				return
			}
			var copied bytes.Buffer
			u := &Unpacker{}
			err = u.Open(bytes.NewReader(tc.packed))
			if err == nil {
				err = u.Copy(&copied, tc.limit)
			}
			if err == nil {
				err = u.End()
			}
			u.Close()
			if !errors.Is(err, tc.err) || u.BytesRead() > tc.limit+1 {
				t.Errorf("Copy: %d bytes, %v", u.BytesRead(), err)
			}
		})
	}
}

// TestUnpackerReads opens one Unpacker again and again.
func TestUnpackerReads(t *testing.T) {
	u := &Unpacker{}
	defer u.Close()
	for _, text := range []string{"one\n", "", "three\n"} {
		packed := gzipped("x")[:0]
		if text != "" {
			packed = gzipped(text)
		}
		if err := u.Open(bytes.NewReader(packed)); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(u); string(got) != text || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if err := u.Copy(io.Discard, 1); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("behind the end: %v", err)
		}
		if err := errors.Join(u.Copy(io.Discard, 0), u.End()); err != nil {
			t.Error(err)
		}
	}
	if u.BytesRead() != int64(len("one\nthree\n")) {
		t.Errorf("%d bytes were read", u.BytesRead())
	}
}

// FuzzUnpack has no input take more memory than the bound, and what is unpacked be
// the same in both ways.
func FuzzUnpack(f *testing.F) {
	f.Add(gzipped("one\n", "two\n"), int64(8))
	f.Add(gzipped(strings.Repeat("0", 1<<20)), int64(100))
	f.Add(append(gzipped("one\n"), "more"...), int64(4))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}, int64(0))
	f.Fuzz(func(t *testing.T, packed []byte, limit int64) {
		limit = min(max(limit, 0), 1<<16)
		text, err := Unpack(bytes.NewReader(packed), limit)
		if int64(len(text)) > limit || int64(cap(text)) > limit+1 {
			t.Fatalf("%d bytes, in %d", len(text), cap(text))
		}
		u := &Unpacker{}
		if u.Open(bytes.NewReader(packed)) != nil {
			if err == nil {
				t.Fatal("unpacked, but cannot be opened")
			}
			return
		}
		defer u.Close()
		again, readErr := io.ReadAll(io.LimitReader(u, limit+1))
		if n := min(int64(len(again)), limit); !bytes.Equal(again[:n], text) {
			t.Fatalf("%q, and %q", text, again)
		}
		if err == nil && (readErr != nil || u.End() != nil) {
			t.Fatalf("unpacked, and %v", readErr)
		}
	})
}
