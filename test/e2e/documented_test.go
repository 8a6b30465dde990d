package e2e

import (
	"bytes"
	"flag"
	"io"
	"os"
	"regexp"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// documentedFile is the results object of which docs/results.md has its examples.
const documentedFile = moduleRoot + "/docs/example-results.yaml"

var updateExample = flag.Bool("update-example", false, "write the results of the documented run to docs/example-results.yaml")

// documented: the run that the documentation shows leaves behind what is shown,
// but for what differs between any two runs.
func documented(s *story) {
	s.optedIn()
	nightly := jobtest.MakeCronJob(s.namespace, "nightly-report").Suspended().
		JobAnnotation(api.ResultsTTLAnnotation, "30d").
		HostFolder(s.folder("count"), "/count").
		Script(`mkdir /count/first 2>/dev/null && { echo "orders.csv: not there yet"; exit 3; }; ` +
			`echo "reading orders of 2026-11-22"; printf '\033[32mreport written\033[0m\n'; ` +
			`printf '{"records-processed": "1,234,567", "output-location": "s3://reports/2026-11-22/", "status": "green"}' >/dev/termination-log`).
		Obj()
	s.create(nightly)
	output, err := s.kubectl(s.ctx(), "create", "job", "nightly-report-29898840", "--from=cronjob/nightly-report")
	s.Expect(err).NotTo(HaveOccurred(), output)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "nightly-report-29898840"}}
	s.refresh(job)

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	if *updateExample {
		s.Expect(os.WriteFile(documentedFile, example(s, r.ConfigMap), 0o644)).To(Succeed())
	}
	text, err := os.ReadFile(documentedFile)
	s.Expect(err).NotTo(HaveOccurred())
	shown := &corev1.ConfigMap{}
	s.Expect(yaml.UnmarshalStrict(text, shown)).To(Succeed())
	s.Expect(cmp.Diff(alike(s, shown), alike(s, r.ConfigMap))).To(BeEmpty(),
		"docs/example-results.yaml is not what this run leaves behind; "+
			"go test -C test ./e2e -run TestStories/up/reports -args -update-example writes it, and make generate docs/results.md")
}

// example returns what of an object is shown.
func example(s *story, cm *corev1.ConfigMap) []byte {
	shown := &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: cm.Namespace, Name: cm.Name, Labels: cm.Labels, Annotations: cm.Annotations},
		Immutable:  cm.Immutable, Data: cm.Data, BinaryData: cm.BinaryData,
	}
	text, err := yaml.Marshal(shown)
	s.Expect(err).NotTo(HaveOccurred())
	return text
}

// different matches what differs between any two runs of the same: digests,
// UIDs, times, durations, sizes of compressed data and of times, pods' names.
var different = regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|` +
	`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\b\d+(m\d+)?s\b|"[a-zA-Z]*[sS]econds": \d+|nightly-report-29898840-[a-z0-9]{5}\b`)

// alike returns the texts of a results object without what differs.
func alike(s *story, cm *corev1.ConfigMap) map[string]string {
	texts := map[string]string{"name": cm.Name}
	add := func(kind string, values map[string]string) {
		for key, value := range values {
			texts[kind+" "+key] = different.ReplaceAllString(value, "…")
		}
	}
	add("data", cm.Data)
	add("label", cm.Labels)
	add("annotation", cm.Annotations)
	delete(texts, "annotation "+api.BytesAnnotation)
	for key, packed := range cm.BinaryData {
		reader, err := gzip.NewReader(bytes.NewReader(packed))
		s.Expect(err).NotTo(HaveOccurred())
		text, err := io.ReadAll(reader)
		s.Expect(err).NotTo(HaveOccurred())
		add("binary", map[string]string{key: string(text)})
	}
	return texts
}
