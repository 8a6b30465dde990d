package config_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// That they install and remove what works is tested on a real node, in
// test/e2e.
var _ = Describe("The scripts of `make deploy` and `make undeploy`", func() {
	DescribeTable("say what the cluster lacks before anything is changed", func(ctx SpecContext, apiVersion, kind, remedy string) {
		const name = "never-created"
		output, err := script(ctx, "deploy", manifest(configMap("default", name),
			fmt.Sprintf(`{"apiVersion": %q, "kind": %q, "metadata": {"namespace": "default", "name": "any"}}`, apiVersion, kind)))
		Expect(err).To(HaveOccurred())
		Expect(output).To(And(ContainSubstring("no matches for kind %q", kind), ContainSubstring(remedy)))
		err = kube.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, &corev1.ConfigMap{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	},
		Entry("cert-manager", "cert-manager.io/v1", "ClusterIssuer", "install cert-manager first"),
		Entry("the Prometheus operator", "monitoring.coreos.com/v1", "PodMonitor", "install the Prometheus operator first"),
		Entry("something newer", "apps/v9", "Deployment", "Kubernetes 1.30 or newer is needed"),
	)

	It("remove what there is, also where the cluster does not know every kind, and again", func(ctx SpecContext) {
		const name = "removed"
		namespace := newNamespace(ctx)
		text := manifest(`{"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": {"namespace": "default", "name": "any"}}`,
			configMap(namespace, name))
		object := &corev1.ConfigMap{}
		object.Namespace, object.Name = namespace, name
		Expect(kube.Create(ctx, object)).To(Succeed())
		for range 2 {
			output, err := script(ctx, "undeploy", "echo", text)
			Expect(err).NotTo(HaveOccurred(), output)
			Expect(output).To(ContainSubstring("release --namespace=job-handler-system"))
			err = kube.Get(ctx, client.ObjectKeyFromObject(object), &corev1.ConfigMap{})
			Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		}
	})

	It("fail where an object cannot be removed", func(ctx SpecContext) {
		output, err := script(ctx, "undeploy", "echo", manifest(configMap("default", "not/a/name")))
		Expect(err).To(HaveOccurred())
		Expect(output).NotTo(ContainSubstring("Nothing of Job Handler is left"))
	})

	It("remove nothing where what the manager holds is not released", func(ctx SpecContext) {
		namespace := newNamespace(ctx)
		object := &corev1.ConfigMap{}
		object.Namespace, object.Name = namespace, "kept"
		Expect(kube.Create(ctx, object)).To(Succeed())
		output, err := script(ctx, "undeploy", "false", manifest(configMap(namespace, "kept")))
		Expect(err).To(HaveOccurred(), output)
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	})
})

// script runs a script of internal/tools on the cluster, and returns what it prints.
func script(ctx context.Context, name string, args ...string) (string, error) {
	cluster := kube.Cluster()
	command := exec.CommandContext(ctx, filepath.Join("..", "internal", "tools", name), args...)
	command.Env = append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig(),
		"PATH="+filepath.Dir(cluster.Kubectl())+string(os.PathListSeparator)+os.Getenv("PATH"))
	output, err := command.CombinedOutput()
	return string(output), err
}

// manifest returns a file with objects in JSON.
func manifest(objects ...string) string {
	GinkgoHelper()
	file := filepath.Join(GinkgoT().TempDir(), "manifest.json")
	Expect(os.WriteFile(file, []byte(strings.Join(objects, "\n")), 0o600)).To(Succeed())
	return file
}

func configMap(namespace, name string) string {
	return fmt.Sprintf(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": %q, "name": %q}}`, namespace, name)
}
