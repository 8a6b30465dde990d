package e2e

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// nothingLeftToDo: no Job that has finished is without its results, no run has
// two of them, and the manager has nothing to do any more.
func nothingLeftToDo(t *testing.T, w *world) {
	g := NewWithT(t)
	var jobs batchv1.JobList
	g.Expect(w.client.List(t.Context(), &jobs, client.MatchingLabels{api.EnabledLabel: api.True})).To(Succeed())
	for _, job := range jobs.Items {
		if ended(&job) {
			g.Expect(job.Annotations).To(HaveKey(api.StatusAnnotation), "job %s/%s is not stored", job.Namespace, job.Name)
		}
	}
	var objects corev1.ConfigMapList
	g.Expect(w.client.List(t.Context(), &objects, resultsAndParts)).To(Succeed())
	results := map[string]string{}
	for _, object := range slices.DeleteFunc(objects.Items, isPart) {
		uid := object.Labels[api.JobUIDLabel]
		g.Expect(results).NotTo(HaveKey(uid), "%s/%s is about the run of %s", object.Namespace, object.Name, results[uid])
		results[uid] = object.Namespace + "/" + object.Name
	}

	silence := func() (time.Duration, error) {
		info, err := os.Stat(w.log.path)
		if err != nil {
			return 0, err
		}
		return time.Since(info.ModTime()), nil
	}
	g.Eventually(silence).WithContext(t.Context()).WithTimeout(longest).WithPolling(poll).
		Should(BeNumerically(">", quiet), "the manager is not idle")
}

// expectedErrors are lines at level error that say nothing of trouble.
var expectedErrors = []*regexp.Regexp{
	// Replicas that start at the same moment both try; one of them succeeds.
	regexp.MustCompile(`"msg":"Error initially creating lease lock".*"error":"[^"]*\\"job-handler\\" already exists"`),
	// The same, on a busy machine, with the lease that is there.
	regexp.MustCompile(`Failed to update lease.*the object has been modified`),
	// In some stories a quota refuses results.
	regexp.MustCompile(`"msg":"job not handled, trying again".*exceeded quota: ` + quotaName),
}

// logIsClean: the manager stored each run once, and neither failed nor
// panicked.
func logIsClean(t *testing.T, w *world) {
	g := NewWithT(t)
	content, err := os.ReadFile(w.log.path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(bytes.Contains(content, []byte("panic"))).To(BeFalse(), "the manager panicked")

	errors := w.log.lines(func(line logLine) bool {
		expected := slices.ContainsFunc(expectedErrors, func(e *regexp.Regexp) bool { return e.MatchString(line.text) })
		return !expected && (!line.structured || line.Level == "error")
	})
	g.Expect(texts(errors)).To(BeEmpty(), "errors in the manager's log")

	stored := map[string]string{}
	for _, line := range w.log.lines(func(line logLine) bool { return line.Message == messageStored }) {
		key := line.Namespace + "/" + line.Results
		g.Expect(stored).NotTo(HaveKey(key), "stored twice:\n%s%s", stored[key], line.text)
		stored[key] = line.text
	}
}
