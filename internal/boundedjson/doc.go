// Package boundedjson decodes JSON that a tenant may have written, within a memory
// limit. An input of some KiB must not become hundreds of MiB of Go values: "{}" is
// two bytes of text and may be a struct of 600. The decoder counts the memory of
// each value before it allocates it, and stops at the limit. It reads a stream and
// never holds more of the input than one string.
//
// It decodes into structs, slices, maps with string keys, pointers, strings,
// booleans and integers. Struct fields need a json tag; UnmarshalJSON is never
// called. Field names are compared exactly. Unknown fields are skipped and cost no
// memory. A value of another type than its field is an error.
//
// The package must not import anything of Job Handler.
package boundedjson
