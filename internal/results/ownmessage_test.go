package results

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/job-handler/job-handler/internal/redact"
)

func TestOwnResultsAreRedacted(t *testing.T) {
	rules, err := redact.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := "-----BEGIN " + "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ\n-----END " + "PRIVATE KEY-----\n"
	escaped, err := json.Marshal(map[string]string{"key": key})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		message string
		want    map[string]string
	}{
		"an object":  {`{"db": "pg://me:hunter2@db", "n": 1}`, map[string]string{"db": "pg://me:[redacted url-password]@db", "n": "1"}},
		"lines":      {"db=pg://me:hunter2@db\nn=1", map[string]string{"db": "pg://me:[redacted url-password]@db", "n": "1"}},
		"escaped":    {`{"db": "pg:\/\/me:hunter2\u0040db"}`, map[string]string{"db": "pg://me:[redacted url-password]@db"}},
		"a key":      {`{"pg:\/\/me:hunter2\u0040db": 1}`, map[string]string{"result.pg_3A_2F_2Fme_3A_5Bredacted_20url-password_5D_40db": "1"}},
		"a PEM file": {string(escaped), nil},
	} {
		t.Run(name, func(t *testing.T) {
			run := completedRun(podAt("a", 1).with("main", exited(0), "").says(tc.message))
			run.Redact = rules
			content := build(t, run)
			checkContent(t, &run, content)
			if diff := cmp.Diff(tc.want, ownData(content)); tc.want != nil && diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			for key, value := range content.Data {
				if strings.Contains(key+value, "hunter2") || strings.Contains(value, "MIIEvQ") {
					t.Errorf("%s holds the secret: %q", key, value)
				}
			}
			if len(readRecord(t, content).Redacted) == 0 {
				t.Error("not counted")
			}
		})
	}
}

// Redaction shortens a message that the kubelet may have cut.
func TestCutMessagesStayCut(t *testing.T) {
	rules, err := redact.New(true, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := "n=1\ndb=pg://me:" + strings.Repeat("hunter2", 10) + "@db\nrest="
	for size, want := range map[int]int{4095: 3, 4096: 0} {
		message := lines + strings.Repeat("x", size-len(lines))
		run := completedRun(podAt("a", 1).with("main", exited(0), "").says(message))
		run.Redact = rules
		if got := len(ownData(build(t, run))); got != want {
			t.Errorf("%d bytes: %d results, want %d", size, got, want)
		}
	}
}
