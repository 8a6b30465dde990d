package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/jobtest"
)

// managerImage: the image that is built without a container engine runs on a
// node, under the restricted Pod Security level, as a user of its own.
func managerImage(s *story) {
	const ref = "localhost/job-handler:e2e"
	s.create(jobtest.MakeNamespace(s.namespace).Label("pod-security.kubernetes.io/enforce", "restricted").Obj())
	archive := filepath.Join(s.w.dir, "image.tar")
	build := exec.CommandContext(s.ctx(), "go", "run", "./internal/tools/image",
		"--output", archive, "--ref", ref, "--platforms", "linux/"+runtime.GOARCH, "--version", "v1.2.3-e2e")
	build.Dir = moduleRoot
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	s.Expect(err).NotTo(HaveOccurred(), string(output))
	s.Expect(s.w.cluster.LoadArchive(s.ctx(), archive)).To(Succeed())

	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "version"},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "manager", Image: ref, ImagePullPolicy: corev1.PullNever, Args: []string{"--version"},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
	s.create(pod)
	s.eventually(func(g Gomega) {
		g.Expect(s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		g.Expect(pod.Status.Phase).To(Equal(corev1.PodSucceeded))
	})
	log, err := exec.CommandContext(s.ctx(), s.w.cluster.Kubectl(), "--kubeconfig", s.w.cluster.Kubeconfig(),
		"--namespace", s.namespace, "logs", pod.Name).Output()
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(string(log)).To(HavePrefix("job-handler v1.2.3-e2e "))
	s.Expect(pod.Status.ContainerStatuses[0].User.Linux.UID).To(BeEquivalentTo(65532))
}
