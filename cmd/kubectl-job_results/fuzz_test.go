package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// FuzzScreen prints, in every form for people, objects that anybody who may
// create ConfigMaps can make: nothing panics, and nothing steers the terminal.
func FuzzScreen(f *testing.F) {
	job := jobtest.MakeJob("ns", "report").UID("11111111-2222").Started(start).Completed(start.Add(90)).Obj()
	content, err := results.Build(runs.Of(job, runs.MakePod("a", start).Container("main", 1, []byte("\x1b[31mred\n"))))
	if err != nil {
		f.Fatal(err)
	}
	const hostile = `{"schema":"job-handler/v1","status":"\u001b[2J","reason":"\u202e","message":"a\rb","completionTime":"\u0007",
		"job":{"name":"\u009b31m","namespace":"\u001b","cronJob":"\u001b]0;x\u0007"},"capture":{"why":"\u001b[1A"},"redacted":{"\u001b":-1},
		"ownResults":{"dataKeys":["k\u001b"]},"pods":[{"name":"\u001bp","containers":[{"name":"\u001bc","kind":"\u001bk",
		"state":{"state":"\u001bTerminated","exitCode":1,"reason":"\u001b"},"capture":{"reason":"\u001b","bytesKept":4,"bytesSeen":9,"exact":{}}}]}]}`
	f.Add(content.Data[api.DataJobJSON], content.Data[api.DataLogs], "key", "value")
	f.Add(hostile, "\x1b]0;title\a\u202e\r", "k\x1b", "\x1b[31m\n\u2066")
	f.Fuzz(func(t *testing.T, record, logs, key, value string) {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "report-results", Labels: map[string]string{api.CreatedLabel: api.True},
			Annotations: map[string]string{api.ExpiresAtAnnotation: value},
		}, Data: map[string]string{key: value, api.DataJobJSON: record, api.DataLogs: logs}}
		reseal(cm)
		run, err := resultsview.Parse(results.Decode(cm))
		if err != nil {
			return
		}
		var out bytes.Buffer
		l := &listOptions{plugin: &plugin{IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &out}, clock: clocktesting.NewFakePassiveClock(now)}, output: printFlags()}
		*l.output.OutputFormat = "wide"
		found := newListing(l.output, l.clock.Now())
		found.add(run)
		if err := l.print(found); err != nil {
			t.Fatal(err)
		}
		text, err := run.Logs(t.Context(), nil)
		if err != nil {
			steersNothing(t, safe(err.Error()))
			return
		}
		if err := printScreen(&out, run, text, screenOptions{now: now, lines: 10}); err != nil {
			t.Fatal(err)
		}
		w := newLogWriter(&out, &out, false, allLines)
		w.whole(text)
		chosen := make([]*resultsview.Log, 0, len(text.List))
		for i := range text.List {
			chosen = append(chosen, &text.List[i])
		}
		w.each(chosen)
		if err := w.out.Flush(); err != nil {
			t.Fatal(err)
		}
		steersNothing(t, out.String())
	})
}

// FuzzWhyMissing says why there are no results of any Job.
func FuzzWhyMissing(f *testing.F) {
	raw, err := json.Marshal(completed("report", 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, "report", "\x1b[31m", api.True)
	f.Add([]byte(`{"spec":{"suspend":true}}`), "\u202e", "", "yes")
	f.Fuzz(func(t *testing.T, raw []byte, name, wish, label string) {
		job := &batchv1.Job{}
		if json.Unmarshal(raw, job) != nil {
			return
		}
		metav1.SetMetaDataAnnotation(&job.ObjectMeta, api.ResultsNameAnnotation, wish)
		around := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{api.EnabledLabel: label}}}
		for _, s := range []sight{{hidden: true}, {unlisted: true}, {job: job}, {job: job, namespace: around}, {job: job, namespace: around, unlisted: true}} {
			var out bytes.Buffer
			report(errors.New(s.whyMissing("ns", name)), &out)
			steersNothing(t, out.String())
		}
	})
}

// steersNothing wants text to have lines of visible characters alone.
func steersNothing(t *testing.T, text string) {
	t.Helper()
	if visible := safe(text); visible != text {
		at := 0
		for at < min(len(text), len(visible)) && text[at] == visible[at] {
			at++
		}
		t.Fatalf("steers a terminal: %q", text[max(0, at-40):min(len(text), at+20)])
	}
	if strings.ContainsRune(text, '\x1b') {
		t.Fatal("an escape sequence")
	}
}
