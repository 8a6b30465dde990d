package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"time"
)

// Messages of the manager that stories look for.
const (
	messageStored = "results stored"
)

// managerLog is what all managers of a run logged, one after the other.
type managerLog struct{ path string }

// logLine is one line of it.
type logLine struct {
	Level     string    `json:"level"`
	Time      time.Time `json:"ts"`
	Message   string    `json:"msg"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Action    string    `json:"action"`
	Results   string    `json:"results"`
	Version   string    `json:"version"`
	// NamespaceKey is the key of a Namespace that is reconciled. Without it its
	// value would go to the field whose name differs in case only.
	NamespaceKey any `json:"Namespace"`

	// text is the line as it was written.
	text string
	// structured is false for a line that is no JSON object.
	structured bool
}

// lines returns the lines for which keep is true. A line that the manager was
// writing when it was killed may be a part of one.
func (l managerLog) lines(keep func(logLine) bool) []logLine {
	content, err := os.ReadFile(l.path)
	if err != nil {
		return nil
	}
	var kept []logLine
	for raw := range bytes.Lines(content) {
		line := logLine{text: strings.TrimSpace(string(raw))}
		line.structured = json.Unmarshal(raw, &line) == nil
		if line.text != "" && keep(line) {
			kept = append(kept, line)
		}
	}
	return kept
}

// about returns the lines about one namespace and what is in it.
func (l managerLog) about(namespace string) []logLine {
	return l.lines(func(line logLine) bool {
		return line.Namespace == namespace || line.Namespace == "" && line.Name == namespace
	})
}

// last returns the text of the last n lines.
func (l managerLog) last(n int) string {
	all := l.lines(func(logLine) bool { return true })
	return texts(all[max(0, len(all)-n):])
}

func texts(lines []logLine) string {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line.text + "\n")
	}
	return text.String()
}
