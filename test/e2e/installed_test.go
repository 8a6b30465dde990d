package e2e

import (
	"strings"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// installed: the image that is built without a container engine runs as a user
// of its own in a namespace that enforces the level restricted.
func installed(s *story) {
	namespace := &corev1.Namespace{}
	s.Expect(s.w.client.Get(s.ctx(), client.ObjectKey{Name: api.ManagerNamespace}, namespace)).To(Succeed())
	s.Expect(namespace.Labels).To(HaveKeyWithValue("pod-security.kubernetes.io/enforce", "restricted"))

	s.allReady()
	pods, err := s.w.manager.pods(s.ctx())
	s.Expect(err).NotTo(HaveOccurred())
	for i := range pods {
		s.Expect(pods[i].Status.ContainerStatuses).To(HaveExactElements(And(
			HaveField("Image", managerImage), HaveField("RestartCount", BeZero()),
			HaveField("User.Linux.UID", BeEquivalentTo(65532)))))
	}
	s.eventually(func(g Gomega) {
		g.Expect(s.w.log.lines(func(line logLine) bool {
			return line.Message == "starting" && strings.HasPrefix(line.Version, managerVersion+" ")
		})).To(HaveLen(replicas))
	})
}
