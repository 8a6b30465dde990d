// Package boundedjson decodes JSON that a tenant may have written. An input of some
// KiB must not become hundreds of MiB of Go values: "{}" is two bytes of text and
// may be a struct of 600. So the decoder counts the memory of each value before it
// allocates it, and stops at a limit. It reads as a stream, and never holds more of
// the input than one string.
//
// It decodes into structs, slices, maps with string keys, pointers, strings, booleans
// and integers. Struct fields need a json tag, and no UnmarshalJSON is called. Names
// of fields are compared exactly; unknown fields are skipped, and cost no memory. A
// value of another type than its field is an error.
package boundedjson
