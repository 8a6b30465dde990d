package config_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/spf13/pflag"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/pinned"
	"github.com/job-handler/job-handler/internal/options"
)

const chartFolder = "chart/job-handler"

// chartComponents are the settings that stand for components of config.
var chartComponents = map[string]string{
	"fail-closed": "failClosed=true", "prometheus": "metrics.enabled=true", "secret-results": "secretResults.enabled=true",
}

// digest is that of some image.
var digest = "sha256:" + strings.Repeat("a", 64)

// everyValue sets all that is not set by default.
var everyValue = []string{
	"image.repository=registry.example.com/jobs/job-handler", "image.tag=v1", "image.pullPolicy=Always", "image.pullSecrets[0].name=registry",
	"replicas=3", "resources.limits.memory=1Gi", "flags.results-ttl=30d", "flags.workers=10000", "flags.redact[0]=a{1\\,3}", "flags.redact[1]=b",
	"env[0].name=GOMEMLIMIT", "env[0].value=300MiB", "failClosed=true", "metrics.enabled=true", "secretResults.enabled=true",
	"secretResults.namespaces={default}", "certificate.issuerRef.name=corporate", "certificate.issuerRef.kind=ClusterIssuer",
	"nodeSelector.pool=system", "tolerations[0].key=system", "tolerations[0].operator=Exists",
	"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key=zone",
	"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator=Exists",
	"topologySpreadConstraints=null", "priorityClassName=system-cluster-critical", "podAnnotations.team=a", "podLabels.team=a",
	"serviceAccount.annotations.team=a",
}

var _ = Describe("The Helm chart", Ordered, ContinueOnFailure, func() {
	var program string

	BeforeAll(func(ctx SpecContext) {
		var err error
		program, err = pinned.Program(ctx, "..", pinned.Helm())
		Expect(err).NotTo(HaveOccurred())
		installKinds(ctx)
	}, NodeTimeout(helmTimeout))

	run := func(ctx context.Context, args ...string) (string, error) {
		command := exec.CommandContext(ctx, program, args...)
		command.Env = append(command.Environ(), "KUBECONFIG="+kube.Cluster().Kubeconfig(), "HELM_CACHE_HOME="+GinkgoT().TempDir())
		text, err := command.Output()
		if problem := (*exec.ExitError)(nil); errors.As(err, &problem) {
			return string(problem.Stderr), err
		}
		return string(text), err
	}
	// renderedFrom returns what a chart makes in a namespace with values.
	renderedFrom := func(ctx context.Context, chart, namespace string, values ...string) (string, []*unstructured.Unstructured) {
		GinkgoHelper()
		args := []string{"template", "any", chart, "--namespace", namespace, "--no-hooks"}
		for _, value := range values {
			args = append(args, "--set", value)
		}
		text, err := run(ctx, args...)
		Expect(err).NotTo(HaveOccurred(), text)
		objects, err := config.Decode([]byte(text))
		Expect(err).NotTo(HaveOccurred())
		return text, objects
	}
	rendered := func(ctx context.Context, namespace string, values ...string) (string, []*unstructured.Unstructured) {
		GinkgoHelper()
		return renderedFrom(ctx, chartFolder, namespace, values...)
	}

	DescribeTable("makes what kustomize makes, object by object", func(ctx SpecContext, components ...string) {
		var values []string
		for _, component := range components {
			values = append(values, chartComponents[component])
		}
		_, ours := rendered(ctx, api.ManagerNamespace, values...)
		objects, err := config.Decode(overlay(ctx, "default", components...))
		Expect(err).NotTo(HaveOccurred())
		want := byName(objects)
		// The namespace is there before: Helm keeps its own notes in it.
		delete(want, "Namespace  "+api.ManagerNamespace)
		expectSame(byName(ours), want, values)
	},
		Entry("default"),
		Entry("fail-closed", "fail-closed"),
		Entry("prometheus", "prometheus"),
		Entry("secret-results", "secret-results"),
		Entry("all components", "fail-closed", "prometheus", "secret-results"),
	)

	It("has a value for each component", func() {
		folders, err := os.ReadDir("components")
		Expect(err).NotTo(HaveOccurred())
		var components []string
		for _, folder := range folders {
			components = append(components, folder.Name())
		}
		Expect(slices.Sorted(maps.Keys(chartComponents))).To(Equal(components),
			"a component of config/components needs a value in the chart, and here an entry in chartComponents and in the table of comparisons")
	})

	DescribeTable("leaves out what the Prometheus operator reads, on demand", func(ctx SpecContext, value, kind string) {
		_, all := rendered(ctx, api.ManagerNamespace, chartComponents["prometheus"])
		want := byName(all)
		maps.DeleteFunc(want, func(_ string, object map[string]any) bool { return object["kind"] == kind })
		Expect(want).To(HaveLen(len(all) - 1))
		_, ours := rendered(ctx, api.ManagerNamespace, chartComponents["prometheus"], value)
		expectSame(byName(ours), want, []string{value})
	},
		Entry("the ServiceMonitor", "metrics.serviceMonitor=false", "ServiceMonitor"),
		Entry("the alerts", "metrics.prometheusRule=false", "PrometheusRule"),
	)

	// No kustomization names its manifest, since it is applied in namespaces of others.
	It("binds the rights on Secrets in each namespace that is named", func(ctx SpecContext) {
		values := []string{chartComponents["secret-results"], "secretResults.namespaces={team-a,team-b}"}
		_, without := rendered(ctx, api.ManagerNamespace, values[0])
		want := byName(without)
		objects, err := config.Load(config.SecretResultsManifests...)
		Expect(err).NotTo(HaveOccurred())
		for _, namespace := range []string{"team-a", "team-b"} {
			binding := find[unstructured.Unstructured](objects, "RoleBinding", api.SecretResultsRole).DeepCopy()
			binding.SetNamespace(namespace)
			maps.Copy(want, byName([]*unstructured.Unstructured{binding}))
		}
		_, ours := rendered(ctx, api.ManagerNamespace, values...)
		expectSame(byName(ours), want, values)
	})

	DescribeTable("is packaged with an image of one's own", func(ctx SpecContext, image, repository, want, appVersion string) {
		folder := GinkgoT().TempDir()
		output, err := exec.CommandContext(ctx, "../internal/tools/package-chart", program, image, "v1.2.3", folder).CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(output))
		packaged := filepath.Join(folder, "job-handler-1.2.3.tgz")
		about, err := run(ctx, "show", "chart", packaged)
		Expect(err).NotTo(HaveOccurred(), about)
		Expect(strings.Split(about, "\n")).To(ContainElements("version: 1.2.3", "appVersion: "+appVersion))
		readme, err := run(ctx, "show", "readme", packaged)
		Expect(err).NotTo(HaveOccurred(), readme)
		Expect(readme).To(ContainSubstring("| `image.repository` | `" + repository + "` |"))
		_, objects := renderedFrom(ctx, packaged, api.ManagerNamespace)
		deployment := find[appsv1.Deployment](objects, "Deployment", api.ManagerName)
		Expect(deployment.Spec.Template.Spec.Containers[0].Image).To(Equal(want))
	},
		Entry("by its tag", "localhost:5000/a/b:v2", "localhost:5000/a/b", "localhost:5000/a/b:v2", "v2"),
		Entry("by its digest", "localhost:5000/a/b@"+digest, "localhost:5000/a/b", "localhost:5000/a/b@"+digest, "v1.2.3"),
		Entry("by both", "example.com/a:v2@"+digest, "example.com/a", "example.com/a@"+digest, "v2"),
		Entry("by none", "", "job-handler", "job-handler:dev", "dev"),
	)

	DescribeTable("is not packaged with an image that may change", func(ctx SpecContext, image string) {
		output, err := exec.CommandContext(ctx, "../internal/tools/package-chart", program, image, "v1.2.3", GinkgoT().TempDir()).CombinedOutput()
		Expect(err).To(HaveOccurred())
		Expect(string(output)).To(ContainSubstring("has neither tag nor digest"))
	}, Entry("without a tag", "example.com/job-handler"), Entry("with a port", "localhost:5000/job-handler"))

	It("makes it for any namespace", func(ctx SpecContext) {
		text, objects := rendered(ctx, "123", append(slices.Collect(maps.Values(chartComponents)), "secretResults.namespaces={team-a}")...)
		Expect(text).NotTo(ContainSubstring(api.ManagerNamespace))
		for _, object := range objects {
			Expect(object.GetNamespace()).To(BeElementOf("", "123", "team-a"), object.GetName())
		}
		binding := find[rbacv1.RoleBinding](objects, "RoleBinding", api.SecretResultsRole)
		Expect([]string{binding.Namespace, binding.Subjects[0].Namespace}).To(Equal([]string{"team-a", "123"}))
	})

	It("puts every value in its place", func(ctx SpecContext) {
		text, objects := rendered(ctx, api.ManagerNamespace, everyValue...)
		kubectl(ctx, []byte(text), "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")

		deployment := find[appsv1.Deployment](objects, "Deployment", api.ManagerName).Spec
		Expect(deployment.Replicas).To(HaveValue(BeEquivalentTo(3)))
		Expect(deployment.Template.Labels).To(HaveKeyWithValue("team", "a"))
		Expect(deployment.Template.Annotations).To(HaveKeyWithValue("team", "a"))
		pod := deployment.Template.Spec
		Expect(pod.NodeSelector).To(HaveKeyWithValue("pool", "system"))
		Expect(pod.Tolerations).To(HaveExactElements(HaveField("Key", "system")))
		Expect(pod.Affinity.NodeAffinity).NotTo(BeNil())
		Expect(pod.TopologySpreadConstraints).To(BeEmpty())
		Expect(pod.PriorityClassName).To(Equal("system-cluster-critical"))
		Expect(pod.ImagePullSecrets).To(HaveExactElements(corev1.LocalObjectReference{Name: "registry"}))
		container := pod.Containers[0]
		Expect(container.Image).To(Equal("registry.example.com/jobs/job-handler:v1"))
		Expect(container.ImagePullPolicy).To(Equal(corev1.PullAlways))
		Expect(container.Resources.Limits.Memory().String()).To(Equal("1Gi"))
		Expect(container.Env).To(ContainElement(corev1.EnvVar{Name: "GOMEMLIMIT", Value: "300MiB"}))

		opts, flags := options.New(), pflag.NewFlagSet("job-handler", pflag.ContinueOnError)
		for _, set := range opts.Flags().FlagSets {
			flags.AddFlagSet(set)
		}
		Expect(flags.Parse(container.Args)).To(Succeed())
		Expect(opts.Validate()).To(Succeed())
		Expect(opts.Jobs.Redact).To(Equal([]string{"a{1,3}", "b"}))
		Expect(opts.Jobs.ResultsTTL).To(Equal("30d"))
		Expect(opts.Limits.Workers).To(Equal(10000))
		Expect(opts.Manager.SecureMetrics()).To(BeTrue())

		account := find[corev1.ServiceAccount](objects, "ServiceAccount", api.ManagerName)
		Expect(account.Annotations).To(HaveKeyWithValue("team", "a"))
		certificates := 0
		for _, object := range objects {
			Expect(object.GetKind()).NotTo(Equal("Issuer"))
			if object.GetKind() == "Certificate" {
				certificates++
				Expect(object.Object["spec"]).To(HaveKeyWithValue("issuerRef", map[string]any{"name": "corporate", "kind": "ClusterIssuer"}))
			}
		}
		Expect(certificates).To(Equal(1))
	})

	It("runs an image by its digest rather than by a tag", func(ctx SpecContext) {
		_, objects := rendered(ctx, api.ManagerNamespace, "image.tag=v1", "image.digest="+digest)
		deployment := find[appsv1.Deployment](objects, "Deployment", api.ManagerName)
		Expect(deployment.Spec.Template.Spec.Containers[0].Image).To(Equal("job-handler@" + digest))
	})

	DescribeTable("refuses", func(ctx SpecContext, value, problem string) {
		text, err := run(ctx, "template", "any", chartFolder, "--namespace", "any", "--set", value)
		Expect(err).To(HaveOccurred())
		Expect(text).To(ContainSubstring(problem))
	},
		Entry("an unknown value", "replica=1", "additional properties 'replica' not allowed"),
		Entry("an unknown value of a part", "metrics.enable=true", "at '/metrics': additional properties 'enable' not allowed"),
		Entry("an unknown flag", "flags.result-ttl=1d", "at '/flags': additional properties 'result-ttl' not allowed"),
		Entry("a flag that is the chart's", "flags.leader-elect=false", "at '/flags': additional properties 'leader-elect' not allowed"),
		Entry("a flag's value of another type", "flags.workers=many", "at '/flags/workers': got string, want integer"),
		Entry("a value of another type", "replicas=two", "at '/replicas': got string, want integer"),
		Entry("a pull policy that there is not", "image.pullPolicy=Sometimes", "at '/image/pullPolicy': value must be one of"),
		Entry("a digest that is none", "image.digest=v1", "at '/image/digest'"),
		Entry("an issuer without a name", "certificate.issuerRef.kind=ClusterIssuer", "at '/certificate/issuerRef'"),
	)

	DescribeTable("refuses a namespace in which Jobs should be handled", func(ctx SpecContext, namespace string) {
		text, err := run(ctx, "template", "any", chartFolder, "--namespace", namespace)
		Expect(err).To(HaveOccurred())
		Expect(text).To(ContainSubstring("job-handler needs a namespace of its own, not " + namespace))
	}, Entry("default", "default"), Entry("kube-system", "kube-system"))

	// That the first is there is told by its webhook configuration.
	DescribeTable("is installed once in a cluster", func(ctx SpecContext, release, problem string) {
		configuration := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: api.ManagerName}}
		if release != "" {
			configuration.Annotations = map[string]string{
				"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": api.ManagerNamespace,
			}
		}
		Expect(kube.Create(ctx, configuration)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(kube.Delete(ctx, configuration))).To(Succeed()) })
		text, err := run(ctx, "install", "second", chartFolder, "--namespace", newNamespace(ctx), "--dry-run=server")
		Expect(err).To(HaveOccurred())
		Expect(text).To(ContainSubstring(problem))
	},
		Entry("not by Helm", "", "is installed in this cluster already, not by Helm"),
		Entry("as another release", "first", "is installed in this cluster already, as release first in namespace "+api.ManagerNamespace),
		Entry("as a release of that name elsewhere", "second", "is installed in this cluster already, as release second in namespace "+api.ManagerNamespace),
	)
})

// byName returns the content of objects by kind, namespace and name.
func byName(objects []*unstructured.Unstructured) map[string]map[string]any {
	named := map[string]map[string]any{}
	for _, object := range objects {
		named[object.GetKind()+" "+object.GetNamespace()+" "+object.GetName()] = object.Object
	}
	return named
}

// expectSame fails, and names the files to edit, if the chart does not make what it
// should with the values.
func expectSame(got, want map[string]map[string]any, values []string) {
	GinkgoHelper()
	sources := sourcesOf()
	both := maps.Clone(want)
	maps.Copy(both, got)
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(both)) {
		diff := cmp.Diff(want[name], got[name])
		if diff == "" {
			continue
		}
		object := unstructured.Unstructured{Object: both[name]}
		source := sources[object.GetKind()+" "+object.GetName()]
		problems = append(problems, fmt.Sprintf("config/%s/templates/%s does not make %s as config/%s does (-config +chart, values %q):\n%s",
			chartFolder, source, strings.Join(strings.Fields(name), " "), source, values, diff))
	}
	if len(problems) > 0 {
		Fail(strings.Join(problems, "\n"))
	}
}

// sourcesOf returns the manifests below config by the kinds and names in them.
func sourcesOf() map[string]string {
	GinkgoHelper()
	sources := map[string]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{"chart", "samples", "alerts"}, name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".yaml" || path.Base(name) == "kustomization.yaml":
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		objects, err := config.Decode(text)
		for _, object := range objects {
			sources[object.GetKind()+" "+object.GetName()] = name
		}
		return err
	})
	Expect(err).NotTo(HaveOccurred())
	return sources
}
