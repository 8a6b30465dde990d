package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fatih/color"

	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// palette gives each pod the same colour everywhere.
type palette struct{ pods []string }

var colours = []color.Attribute{color.FgCyan, color.FgYellow, color.FgGreen, color.FgMagenta, color.FgBlue, color.FgRed}

func (p *palette) paint(pod, text string) string {
	at := slices.Index(p.pods, pod)
	if at < 0 {
		at = len(p.pods)
		p.pods = append(p.pods, pod)
	}
	c := color.New(color.Bold, colours[at%len(colours)])
	c.EnableColor()
	return c.Sprint(text)
}

// The errors of a bufio.Writer stay: Flush returns them.

func (w *logWriter) write(p []byte) { _, _ = w.out.Write(p) }

func (w *logWriter) readable(raw []byte) {
	for len(raw) > 0 {
		n := bytes.IndexByte(raw, '\n') + 1
		if n == 0 {
			n = len(raw)
		}
		w.write(logtext.AppendReadable(w.out.AvailableBuffer(), raw[:n]))
		raw = raw[n:]
	}
}

// whole prints everything, with headings and notes.
func (w *logWriter) whole(logs *resultsview.Logs) {
	located := slices.DeleteFunc(slices.Clone(logs.List), func(l resultsview.Log) bool { return l.End == 0 })
	slices.SortFunc(located, func(a, b resultsview.Log) int { return cmp.Compare(a.Start, b.Start) })
	at := 0
	for i := range located {
		l := &located[i]
		if l.Start < at {
			continue
		}
		w.between(string(logs.Text[at:l.Start]))
		w.readable(l.Head)
		if gapped(l) {
			w.gap(l)
			w.readable(l.Tail)
		}
		at = l.End
	}
	w.between(string(logs.Text[at:]))
}

// between prints headings, in the colour of their pod, and notes.
func (w *logWriter) between(text string) {
	for line := range strings.Lines(text) {
		line = safe(line)
		if pod, found := heading(line); found && w.colours {
			line = w.pods.paint(pod, strings.TrimSuffix(line, "\n")) + "\n"
		}
		w.write([]byte(line))
	}
}

// each prints chosen logs, under headings if there are several.
func (w *logWriter) each(chosen []*resultsview.Log) {
	for i, l := range chosen {
		if len(chosen) > 1 {
			if i > 0 {
				w.write([]byte("\n"))
			}
			w.between("==> " + describe(l) + " <==\n")
		}
		text := w.lastLines(l)
		w.readable(text)
		if len(text) > 0 && text[len(text)-1] != '\n' {
			w.write([]byte("\n"))
		}
		w.note(l)
	}
}

// lastLines returns the last lines of the log for --tail, with a note if lines were
// omitted.
func (w *logWriter) lastLines(l *resultsview.Log) []byte {
	text := l.Head
	if gapped(l) {
		text = slices.Concat(endLine(l.Head), gapNote(l), l.Tail)
	}
	if w.tail < 0 {
		return text
	}
	return resultsview.LastLines(text, w.tail)
}

// raw prints the bytes of chosen logs, one after the other.
func (w *logWriter) raw(chosen []*resultsview.Log) {
	for _, l := range chosen {
		text := l.Head
		if gapped(l) {
			text = slices.Concat(l.Head, l.Tail)
			fmt.Fprintf(w.notes, "Note: %s: %s of the log are left out, after the first %d\n",
				describe(l), logtext.Count(l.Capture.BytesSeen-l.Capture.BytesKept, "byte"), len(l.Head))
		}
		if w.tail >= 0 {
			text = resultsview.LastLines(text, w.tail)
		}
		w.write(text)
		w.note(l)
	}
}

// note prints on standard error which part of the log is missing.
func (w *logWriter) note(l *resultsview.Log) {
	if why := joined(": ", l.Capture.Reason, l.Capture.Message); !l.Capture.Complete {
		fmt.Fprintf(w.notes, "Note: %s: the log is not complete: %s\n", describe(l), safe(why))
	} else if why != "" {
		fmt.Fprintf(w.notes, "Note: %s: %s\n", describe(l), safe(why))
	}
}

func gapped(l *resultsview.Log) bool { return l.End > 0 && l.Capture.BytesKept < l.Capture.BytesSeen }

func gapNote(l *resultsview.Log) []byte {
	return fmt.Appendf(nil, "[job-handler: %s left out here]\n",
		logtext.Count(l.Capture.BytesSeen-l.Capture.BytesKept, "byte"))
}

func (w *logWriter) gap(l *resultsview.Log) {
	if len(l.Head) > 0 && l.Head[len(l.Head)-1] != '\n' {
		w.write([]byte("\n"))
	}
	w.write(gapNote(l))
}

func endLine(text []byte) []byte {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return slices.Concat(text, []byte("\n"))
	}
	return text
}
