// Package redact replaces credentials in text: well-known forms by built-in rules,
// others by an operator's patterns. It works on streams in bounded memory, however
// they are split, never changes the number of lines, and counts by rule what it
// replaced. It is pure, keeps no replaced text, and must not import anything of Job
// Handler.
package redact
