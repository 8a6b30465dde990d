package e2e

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// run is what is stored of one run.
type run struct {
	*corev1.ConfigMap
	record results.Record
}

// stored waits for the results of the Job, and wants of them what holds for
// all results.
func (s *story) stored(job *batchv1.Job) run {
	s.t.Helper()
	var found corev1.ConfigMapList
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.List(s.ctx(), &found, client.InNamespace(job.Namespace),
			client.MatchingLabels{api.JobUIDLabel: string(job.UID)})).To(Succeed())
		found.Items = slices.DeleteFunc(found.Items, isPart)
		g.Expect(found.Items).NotTo(BeEmpty(), "no results of job %s", job.Name)
	})
	s.Expect(found.Items).To(HaveLen(1), "one results object for each run")
	r := run{ConfigMap: &found.Items[0]}
	s.Expect(results.Decode(r.ConfigMap).Verify(job, nil)).To(Succeed())
	s.Expect(r.Name).To(HavePrefix(job.Name + "-"))
	s.Expect(r.OwnerReferences).To(BeEmpty())
	s.Expect(r.Finalizers).To(BeEmpty())
	s.Expect(json.Unmarshal([]byte(r.Data[api.DataJobJSON]), &r.record)).To(Succeed())
	s.Expect(r.record.Status).To(Equal(r.Data[api.DataStatus]))
	s.Expect(r.Labels).To(HaveKeyWithValue(api.StatusLabel, r.Data[api.DataStatus]))

	size := 0
	for key, value := range r.Data {
		size += len(value)
		s.Expect(utf8.ValidString(value)).To(BeTrue(), "%s is no text", key)
	}
	for _, value := range r.BinaryData {
		size += len(value)
	}
	s.Expect(r.Annotations).To(HaveKeyWithValue(api.BytesAnnotation, strconv.Itoa(size)))
	s.Expect(size).To(BeNumerically("<=", api.MaxResultsBytes))
	return r
}

// isPart reports whether an object holds a part of results.
func isPart(object corev1.ConfigMap) bool { return object.Labels[api.PartLabel] != "" }

// complete wants the results to say that nothing is missing.
func (s *story) complete(r run) {
	s.t.Helper()
	s.Expect(r.record.Capture).To(Equal(results.RunCapture{Complete: true}), "logs:\n%s", r.Data[api.DataLogs])
}

// incomplete wants the results, the Job and a Warning to say that logs are
// missing for this reason.
func (s *story) incomplete(job *batchv1.Job, r run, reason string) {
	s.t.Helper()
	s.Expect(r.record.Capture.Complete).To(BeFalse())
	s.Expect(r.record.Capture.Why).To(ContainSubstring(reason))
	s.Expect(job.Annotations).To(HaveKeyWithValue(api.CaptureAnnotation, HavePrefix(api.CaptureIncompletePrefix)))
	s.Expect(job.Annotations).To(HaveKeyWithValue(api.CaptureAnnotation, ContainSubstring(reason)))
	s.Expect(s.told(job, corev1.EventTypeWarning)).To(ContainElement(And(
		ContainSubstring("incomplete"), ContainSubstring(reason))))
}

// containerLog is the log of one instance of a container as results hold it.
type containerLog struct {
	Pod, Container string
	Previous       bool
	// Instance is "2 of 4" of one before the previous one.
	Instance string
	Text     string
}

var logHeading = regexp.MustCompile(`(?m)^==> pod (\S+), container (\w+)(, previous instance)?(?:, instance (\d+ of \d+))? \(node local, [a-z]+ ?[a-z0-9 ]*\) <==\n`)

// logs returns the value of logs taken apart.
func (r run) logs() []containerLog {
	text := r.Data[api.DataLogs]
	var logs []containerLog
	headings := logHeading.FindAllStringSubmatchIndex(text, -1)
	for i, at := range headings {
		end := len(text)
		if i+1 < len(headings) {
			// A blank line parts them.
			end = headings[i+1][0] - 1
		}
		log := containerLog{Pod: text[at[2]:at[3]], Container: text[at[4]:at[5]], Previous: at[6] >= 0, Text: text[at[1]:end]}
		if at[8] >= 0 {
			log.Instance = text[at[8]:at[9]]
		}
		logs = append(logs, log)
	}
	return logs
}

// texts returns the text of each log in order.
func (r run) texts() []string {
	var texts []string
	for _, log := range r.logs() {
		texts = append(texts, log.Text)
	}
	return texts
}

// at returns a time of the results.
func (s *story) at(r run, key string) time.Time {
	s.t.Helper()
	at, err := time.Parse(time.RFC3339, r.Data[key])
	s.Expect(err).NotTo(HaveOccurred(), key)
	return at
}

// lines joins lines, each with its end.
func lines(lines ...string) string { return strings.Join(lines, "\n") + "\n" }
