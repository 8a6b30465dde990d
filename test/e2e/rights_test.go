package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/test/audit"
)

// rightsAreUsed: the manager may do what it does, and nothing else.
func rightsAreUsed(t *testing.T, w *world) {
	g := NewWithT(t)
	requests, err := w.requests()
	g.Expect(err).NotTo(HaveOccurred())
	used, err := audit.Used(bytes.NewReader(requests), api.ManagerUser)
	g.Expect(err).NotTo(HaveOccurred())
	objects, err := config.Load("rbac/role.yaml", "rbac/leader_election_role.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	role, err := os.ReadFile(secretResults + "cluster_role.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	component, err := config.Decode(role)
	g.Expect(err).NotTo(HaveOccurred())
	granted, err := audit.Granted(append(objects, component...))
	g.Expect(err).NotTo(HaveOccurred())

	g.Expect(used.Refused).To(BeEmpty(), "requests for which the manager has no right")
	g.Expect(audit.Outside(granted, used.Allowed)).To(HaveEach(HaveField("Path", Or(Equal("/api"), Equal("/apis")))),
		"requests that other roles allow: everybody may ask which kinds there are")
	unused := slices.DeleteFunc(audit.Unused(granted, used.Allowed), func(right audit.Right) bool {
		return slices.Contains(fallbacks, right.String())
	})
	g.Expect(unused).To(BeEmpty(), "rights that nothing needed")
}

// eventsAreListed: Events are listed in namespaces with a Job that failed, or of which a
// pod never started, and once for each such Job at most, or twice if the manager was
// killed.
func eventsAreListed(t *testing.T, w *world) {
	g := NewWithT(t)
	requests, err := w.requests()
	g.Expect(err).NotTo(HaveOccurred())
	used, err := audit.Used(bytes.NewReader(requests), api.ManagerUser)
	g.Expect(err).NotTo(HaveOccurred())
	var objects corev1.ConfigMapList
	g.Expect(w.client.List(t.Context(), &objects, resultsAndParts)).To(Succeed())
	concerned, others := map[string]int{}, map[string]int{}
	for _, object := range slices.DeleteFunc(objects.Items, isPart) {
		if object.Data[api.DataStatus] == api.StatusFailed || strings.Contains(object.Data[api.DataJobJSON], results.ReasonNeverStarted) {
			concerned[object.Namespace]++
		} else {
			others[object.Namespace]++
		}
	}
	// Results may have expired.
	var jobs batchv1.JobList
	g.Expect(w.client.List(t.Context(), &jobs)).To(Succeed())
	for _, job := range jobs.Items {
		if job.Annotations[api.StatusAnnotation] == api.StatusFailed && concerned[job.Namespace] == 0 {
			concerned[job.Namespace]++
		}
	}
	lists := 0
	for namespace, jobs := range concerned {
		times := used.Times(audit.Request{Verb: "list", Resource: "events", Namespace: namespace})
		g.Expect(times).To(BeNumerically("<=", 2*jobs), "lists of Events in namespace %s", namespace)
		lists += times
		delete(others, namespace)
	}
	g.Expect(lists).To(BeNumerically(">", 0))
	for namespace := range others {
		g.Expect(used.Times(audit.Request{Verb: "list", Resource: "events", Namespace: namespace})).To(BeZero(), namespace)
	}
	w.say("Events were listed %d times for Jobs in %d namespaces, and never in %d others", lists, len(concerned), len(others))
}

// requests returns the API server's audit log.
func (w *world) requests() ([]byte, error) {
	// The server begins a new file now and then.
	paths, err := filepath.Glob(filepath.Join(w.cluster.Logs(), "audit*.log"))
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all = append(all, text...)
	}
	return all, nil
}

// fallbacks are rights that are needed where the API server does not stream
// lists: before Kubernetes 1.34, and when it is busy.
var fallbacks = []string{"list namespaces", "list pods", "list jobs.batch"}
