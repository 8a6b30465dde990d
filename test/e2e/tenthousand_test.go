package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/hostmanager"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/localcluster"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/test/node"
)

const (
	tenThousand = 10_000
	// detailed is how many containers are described one by one.
	detailed = 500
	// tenThousandTimeout is for a small machine, which makes some dozens of pods
	// a second.
	tenThousandTimeout = 15 * time.Minute
)

// A Job of 10,000 pods, on simulated nodes, has results like any other: every
// pod is counted, some are described, and the logs share the room.
func TestTenThousandPods(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes minutes: make test-operations")
	}
	g := NewWithT(t)
	w := &world{dir: t.TempDir()}
	g.Expect(w.build(t.Context())).To(Succeed())
	cluster, err := node.StartKWOK(t.Context(), node.KWOKOptions{
		Options: localcluster.Options{Dir: filepath.Join(w.dir, "cluster"), Progress: os.Stderr}, Count: 100,
	})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		if err := within(t.Context(), cluster.Stop); err != nil {
			t.Errorf("stopping the cluster: %v", err)
		}
	})
	log, err := os.Create(filepath.Join(w.dir, "manager.log"))
	g.Expect(err).NotTo(HaveOccurred())
	defer log.Close()
	manager, err := hostmanager.Start(t.Context(), hostmanager.Options{
		Cluster: cluster, Binary: w.binary, Dir: filepath.Join(w.dir, "manager"), Output: log,
	})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = within(t.Context(), manager.Stop) })
	g.Expect(manager.AwaitAdmission(t.Context())).To(Succeed())
	w.cluster = &node.Cluster{Cluster: cluster}
	w.client, err = client.NewWithWatch(cluster.RESTConfig(), client.Options{Scheme: clientgoscheme.Scheme})
	g.Expect(err).NotTo(HaveOccurred())

	s := newStory(t, w, "crowd")
	s.optedIn()
	began := time.Now()
	job := s.start(jobtest.MakeJob(s.namespace, "crowd").Completions(tenThousand, tenThousand))
	var objects corev1.ConfigMapList
	s.Eventually(func(g Gomega) {
		g.Expect(w.client.List(t.Context(), &objects, client.InNamespace(s.namespace),
			client.MatchingLabels{api.JobUIDLabel: string(job.UID)})).To(Succeed())
		g.Expect(objects.Items).NotTo(BeEmpty(), progress(s))
	}).WithContext(t.Context()).WithTimeout(tenThousandTimeout).WithPolling(2 * time.Second).Should(Succeed())
	w.say("10,000 pods took %s until their results were stored", time.Since(began).Round(time.Second))

	r := s.stored(job)
	s.Expect(r.record.PodCounts).To(Equal(results.PodCounts{Succeeded: tenThousand, Seen: tenThousand}))
	s.Expect(r.record.Pods).To(HaveLen(detailed))
	s.Expect(r.record.Omitted).To(Equal(results.OmittedRecords{Pods: tenThousand - detailed, Containers: tenThousand - detailed}))
	s.gone(job)
}

// progress tells how far the Job of the story is.
func progress(s *story) string {
	var pods corev1.PodList
	if err := s.w.client.List(s.ctx(), &pods, client.InNamespace(s.namespace), client.Limit(1)); err != nil {
		return err.Error()
	}
	rest := int64(0)
	if pods.RemainingItemCount != nil {
		rest = *pods.RemainingItemCount
	}
	return fmt.Sprintf("%d pods are there", int64(len(pods.Items))+rest)
}
