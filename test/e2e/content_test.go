package e2e

import (
	"fmt"
	"os"
	"strings"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// ownResults: what the program reports is there under the program's own keys,
// as it wrote it.
func ownResults(s *story) {
	s.optedIn()
	job := s.start(s.job("report", `echo '{"records-processed": "1,234,567", "output-location": "s3://reports/2026", "ok": true}' `+
		`>/dev/termination-log; echo done`))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	s.Expect(r.Data).To(HaveKeyWithValue("records-processed", "1,234,567"))
	s.Expect(r.Data).To(HaveKeyWithValue("output-location", "s3://reports/2026"))
	s.Expect(r.Data).To(HaveKeyWithValue("ok", "true"))
	s.Expect(r.texts()).To(HaveExactElements("done\n"))
}

// redacted: credentials that a program prints or reports are not stored; the
// lines around them are, and it is said how many were replaced.
func redacted(s *story) {
	// In pieces, so that nobody takes these for real ones.
	key, password := "AKIA"+"Z7QXW3RTNL5KPD2M", "hunter2-"+"correct-horse"
	s.optedIn()
	job := s.start(s.job("leaky", fmt.Sprintf(`k=%s; p=%s; echo "before"; echo "key id $k"; `+
		`echo "connecting to postgres://app:$p@db:5432/orders"; echo "after"; echo "location=https://app:$p@store/x" >/dev/termination-log`,
		key, password)))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	for name, value := range r.Data {
		s.Expect(value).NotTo(Or(ContainSubstring(key), ContainSubstring(password)), "value %s", name)
	}
	logs := strings.Split(r.texts()[0], "\n")
	s.Expect(logs).To(HaveExactElements(Equal("before"), HavePrefix("key id [redacted "),
		And(HavePrefix("connecting to postgres://app:[redacted "), HaveSuffix("@db:5432/orders")), Equal("after"), Equal("")))
	s.Expect(r.Data).To(HaveKeyWithValue("location", HavePrefix("https://app:[redacted ")))
	var replaced int64
	for _, count := range r.record.Redacted {
		replaced += count
	}
	s.Expect(replaced).To(BeEquivalentTo(3))
}

// inSecret: where its namespace grants the right, a Job's results are in a
// Secret, and in no ConfigMap.
func inSecret(s *story) {
	s.optedIn()
	s.grantSecrets()
	job := s.start(s.job("payroll", "echo salaries").Annotation(api.ResultsKindAnnotation, api.ResultsKindSecret))

	s.gone(job)
	found := &corev1.Secret{}
	s.Expect(s.w.client.Get(s.ctx(), client.ObjectKey{Namespace: s.namespace, Name: "payroll-results"}, found)).To(Succeed())
	s.Expect(found.Type).To(BeEquivalentTo(api.SecretType))
	s.Expect(found.Immutable).To(HaveValue(BeTrue()))
	s.Expect(string(found.Data[api.DataLogs])).To(HaveSuffix("salaries\n"))
	var objects corev1.ConfigMapList
	s.Expect(s.w.client.List(s.ctx(), &objects, client.InNamespace(s.namespace), client.MatchingLabels{api.CreatedLabel: api.True})).To(Succeed())
	s.Expect(objects.Items).To(BeEmpty())
}

// secretResults is the folder of the component secret-results.
const secretResults = moduleRoot + "/config/components/secret-results/"

// grantSecrets does what the component secret-results says.
func (s *story) grantSecrets() {
	s.t.Helper()
	for _, object := range append(s.manifest("cluster_role.yaml"), s.manifest("role_binding.yaml")...) {
		if object.GetKind() == "RoleBinding" {
			object.SetNamespace(s.namespace)
		}
		s.Expect(client.IgnoreAlreadyExists(s.w.client.Create(s.ctx(), object))).To(Succeed())
	}
}

func (s *story) manifest(file string) []*unstructured.Unstructured {
	s.t.Helper()
	text, err := os.ReadFile(secretResults + file)
	s.Expect(err).NotTo(HaveOccurred())
	objects, err := config.Decode(text)
	s.Expect(err).NotTo(HaveOccurred())
	return objects
}

// unstableContainer: of a container that restarts three times, at once each time, the
// last log is there, and what the kubelet has removed is named.
func unstableContainer(s *story) {
	s.optedIn()
	job := s.start(s.job("unstable", `n=$(cat /count/n 2>/dev/null || echo 0); echo $((n+1)) >/count/n; echo "try $n"; [ "$n" = 3 ]`).
		HostFolder(s.folder("count"), "/count").RestartPolicy(corev1.RestartPolicyOnFailure).BackoffLimit(10))

	s.gone(job)
	r := s.stored(job)
	container := r.record.Pods[0].Containers[0]
	s.Expect(container.RestartCount).To(BeEquivalentTo(3))
	s.Expect(container.EarlierInstances + len(container.Instances)).To(Equal(2))
	s.Expect(r.texts()).To(ContainElement("try 3\n"))
	s.wholeOrNamed(r, "try 0\n", "try 1\n", "try 2\n", "try 3\n")
}

// rotatedLog: of a log that was rotated while it was written only the newest
// file can be read; that its head is gone is said.
func rotatedLog(s *story) {
	s.optedIn()
	// 40 MiB in 20 s; the kubelet rotates at 10 MiB, and looks every 3 s.
	job := s.start(s.job("chatty", `i=0; while [ $i -lt 80 ]; do i=$((i+1)); `+
		`awk -v i=$i 'BEGIN { for (n = 1; n <= 4096; n++) printf "%03d %04d %0118d\n", i, n, 0 }'; sleep 0.2; done`))

	s.gone(job)
	r := s.stored(job)
	capture := r.record.Pods[0].Containers[0].Capture
	s.Expect(capture.BytesSeen).To(BeNumerically("<", 40<<20), "it was not rotated")
	if capture.BytesSeen < 1<<20 {
		s.t.Skipf("it was rotated so late that %d bytes were left, of which nothing can be told", capture.BytesSeen)
	}
	s.Expect(capture.Complete).To(BeFalse())
	s.Expect(r.record.Capture.Why).To(ContainSubstring(results.ReasonRotatedHead))
}

// manyPods: the logs of thirty pods are in one place, none twice.
func manyPods(s *story) {
	const pods = 30
	s.optedIn()
	job := s.start(s.job("herd", `echo "index $JOB_COMPLETION_INDEX"`).Completions(pods, pods).Indexed())

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	var want []any
	for i := range pods {
		want = append(want, fmt.Sprintf("index %d\n", i))
	}
	s.Expect(r.texts()).To(ConsistOf(want...))
}

// hugeLog: a log of 1 GiB passes through a manager that may use half of that;
// head and tail of it are stored, and the rest is counted.
func hugeLog(s *story) {
	const mebibytes = 1024
	s.optedIn()
	var job *batchv1.Job
	before := s.restarts()
	job = s.start(s.job("flood", fmt.Sprintf(
		`awk 'BEGIN { for (n = 1; n <= %d; n++) printf "%%07d %%01015d\n", n, 0 }'`, mebibytes<<10)))

	s.gone(job)
	r := s.stored(job)
	capture := r.record.Pods[0].Containers[0].Capture
	s.Expect(capture.BytesSeen).To(BeEquivalentTo(mebibytes << 20))
	s.Expect(r.record.Capture.Why).To(ContainSubstring(results.ReasonShortenedToFit))
	s.Expect(r.texts()[0]).To(And(HavePrefix("0000001 "), ContainSubstring(" left out here]"),
		ContainSubstring(fmt.Sprintf("\n%07d ", mebibytes<<10))))
	s.Expect(s.restarts()).To(Equal(before), "restarts of the manager's containers")
}

// restarts counts those of the manager's containers.
func (s *story) restarts() int32 {
	s.t.Helper()
	pods, err := s.w.manager.pods(s.ctx())
	s.Expect(err).NotTo(HaveOccurred())
	var count int32
	for i := range pods {
		for _, status := range pods[i].Status.ContainerStatuses {
			count += status.RestartCount
		}
	}
	return count
}
