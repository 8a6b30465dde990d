package joblogs

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/redact"
)

// What is read is redacted; whether it is all of the log is found out from what
// came.
func TestCollectRedacts(t *testing.T) {
	rules, err := redact.New(true, []string{`0123abcd`})
	if err != nil {
		t.Fatal(err)
	}
	const secret, replaced = "url=pg://me:hunter2@db/x\n", "url=pg://me:[redacted url-password]@db/x\n"
	key := strings.Join([]string{"-----BEGIN", "PRIVATE KEY-----\n"}, " ") + strings.Repeat("c2VjcmV0c2VjcmV0\n", 20)
	tests := map[string]struct {
		log   string
		fault fault
		want  outcome
		count redact.Counts
	}{
		"once": {log: "a\n" + secret + "b\n", want: outcome{Text: "a\n" + replaced + "b\n", Capture: whole}, count: redact.Counts{"url-password": 1}},
		"at the end, without a newline": {
			log: "a\npassword=hunter2", want: outcome{Text: "a\npassword=[redacted password]", Capture: whole}, count: redact.Counts{"password": 1},
		},
		"in every line":   {log: strings.Repeat(secret, 100), want: outcome{Text: strings.Repeat(replaced, 100), Capture: whole}, count: redact.Counts{"url-password": 100}},
		"over many lines": {log: key, want: outcome{Text: strings.Repeat("[redacted private-key]\n", 21), Capture: whole}, count: redact.Counts{"private-key": 1}},
		"before the kubelet's error": {
			log: secret, fault: appends(runtimeError), count: redact.Counts{"url-password": 1, "pattern-1": 1},
			want: outcome{Text: replaced, Capture: unavailable(strings.Replace(runtimeError, "0123abcd", "[redacted pattern-1]", 1))},
		},
		"ends early": {log: secret + secret, fault: sends(secret), want: outcome{Text: replaced, Capture: endedEarly}, count: redact.Counts{"url-password": 1}},
		"breaks off": {fault: breaks("a password=hunter2"), want: outcome{
			Text: "a password=[redacted password]", Capture: unavailable("reading log: unexpected EOF"),
		}, count: redact.Counts{"password": 1}},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &kubelet{logs: map[string]string{"p1/c": tc.log}, faults: map[string]fault{"p1/c": tc.fault}}
				collected, release, err := NewReader(k, Options{Redact: rules}).Collect(t.Context(), []*corev1.Pod{podWith(exited("c"))})
				if err != nil {
					t.Fatal(err)
				}
				defer release()
				tc.want.Container = "c"
				if diff := cmp.Diff([]outcome{tc.want}, outcomes(collected[0])); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.count, collected[0].Logs[0].Redacted); diff != "" {
					t.Errorf("counts (-want +got):\n%s", diff)
				}
			})
		})
	}
}
