package results

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
)

// Digest returns the SHA-256 over the values of a results object, in
// hexadecimal, for api.SHA256Annotation. It is over, for each key of data in
// the order of its bytes, then for each of binaryData: the letter d or b, the
// length of the key, the key, the length of the value, the value. Lengths are
// in bytes, as 8 bytes, most significant first. Labels and annotations are not
// covered: they can be edited on an immutable object.
func Digest(data map[string]string, binaryData map[string][]byte) string {
	d := digest{hash: sha256.New()}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		d.entry("d", key, len(data[key]))
		d.text(data[key])
	}
	for _, key := range slices.Sorted(maps.Keys(binaryData)) {
		d.entry("b", key, len(binaryData[key]))
		d.bytes(binaryData[key])
	}
	return hex.EncodeToString(d.hash.Sum(nil))
}

type digest struct {
	hash hash.Hash
	// part holds a piece of a text, so that no copy of a large one is made.
	part [4 << 10]byte
}

func (d *digest) entry(kind, key string, size int) {
	d.text(kind)
	d.length(len(key))
	d.text(key)
	d.length(size)
}

func (d *digest) length(n int) {
	// A hash never fails.
	_ = binary.Write(d.hash, binary.BigEndian, int64(n))
}

func (d *digest) text(s string) {
	for len(s) > 0 {
		n := copy(d.part[:], s)
		d.bytes(d.part[:n])
		s = s[n:]
	}
}

// bytes adds b; a hash never fails.
func (d *digest) bytes(b []byte) { _, _ = d.hash.Write(b) }
