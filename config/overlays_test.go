package config_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/spf13/pflag"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/options"
)

// The releases whose CustomResourceDefinitions the manifests are held against.
const (
	certManager        = "github.com/cert-manager/cert-manager@v1.21.2"
	prometheusOperator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
)

var _ = Describe("Manifests", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		installKinds(ctx)
	})

	DescribeTable("are accepted by the API server, every field of them", func(ctx SpecContext, folder string, components ...string) {
		text := overlay(ctx, folder, components...)
		kubectl(ctx, text, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
	},
		Entry("default", "default"),
		Entry("fail-closed", "default", "fail-closed"),
		Entry("prometheus", "default", "prometheus"),
		Entry("secret-results", "default", "secret-results"),
		Entry("all components", "default", "fail-closed", "prometheus", "secret-results"),
		Entry("samples", "samples"),
	)

	It("are of a pod that a restricted namespace admits", func(ctx SpecContext) {
		deployment := find[appsv1.Deployment](kustomize(ctx, "default"), "Deployment", api.ManagerName)
		account := find[corev1.ServiceAccount](kustomize(ctx, "default"), "ServiceAccount", api.ManagerName)
		Expect(client.IgnoreAlreadyExists(kube.Create(ctx, account))).To(Succeed())
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: api.ManagerNamespace, Name: "manager"},
			Spec:       deployment.Spec.Template.Spec,
		}
		Expect(kube.Create(ctx, pod.DeepCopy(), client.DryRunAll)).To(Succeed())

		pod.Spec.HostNetwork = true
		Expect(kube.Create(ctx, pod, client.DryRunAll)).To(MatchError(ContainSubstring("violates PodSecurity")))
	})

	It("fit together and to the manager's flags", func(ctx SpecContext) {
		objects := kustomize(ctx, "default")
		deployment := find[appsv1.Deployment](objects, "Deployment", api.ManagerName)
		container := deployment.Spec.Template.Spec.Containers[0]
		pods := labels.Set(deployment.Spec.Template.Labels)
		flags := options.New().Webhook

		webhooks := find[admissionv1.MutatingWebhookConfiguration](objects, "MutatingWebhookConfiguration", api.ManagerName)
		service := find[corev1.Service](objects, "Service", webhooks.Webhooks[0].ClientConfig.Service.Name)
		Expect(labels.SelectorFromSet(service.Spec.Selector).Matches(pods)).To(BeTrue())
		Expect(container.Ports).To(ContainElement(And(
			HaveField("Name", service.Spec.Ports[0].TargetPort.StrVal), HaveField("ContainerPort", BeEquivalentTo(flags.Port)))))

		budget := find[policyv1.PodDisruptionBudget](objects, "PodDisruptionBudget", api.ManagerName)
		Expect(labels.SelectorFromSet(budget.Spec.Selector.MatchLabels).Matches(pods)).To(BeTrue())

		certificate := find[unstructured.Unstructured](objects, "Certificate", "job-handler-webhook")
		Expect(container.VolumeMounts[0].MountPath).To(Equal(flags.CertDir))
		Expect(certificate.Object).To(HaveKeyWithValue("spec", And(
			HaveKeyWithValue("secretName", deployment.Spec.Template.Spec.Volumes[0].Secret.SecretName),
			HaveKeyWithValue("dnsNames", ContainElement(service.Name+"."+service.Namespace+".svc")))))
		Expect(webhooks.Annotations).To(HaveKeyWithValue("cert-manager.io/inject-ca-from",
			certificate.GetNamespace()+"/"+certificate.GetName()))
	})

	It("of the component prometheus fit together", func(ctx SpecContext) {
		objects, err := config.Decode(overlay(ctx, "default", "prometheus"))
		Expect(err).NotTo(HaveOccurred())
		pod := find[appsv1.Deployment](objects, "Deployment", api.ManagerName).Spec.Template
		container := pod.Spec.Containers[0]
		service := find[corev1.Service](objects, "Service", "job-handler-metrics")
		Expect(labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels))).To(BeTrue())
		Expect(service.Spec.Ports).To(HaveExactElements(HaveField("TargetPort.StrVal", "metrics")))

		opts, flags := options.New(), pflag.NewFlagSet("job-handler", pflag.ContinueOnError)
		for _, set := range opts.Flags().FlagSets {
			flags.AddFlagSet(set)
		}
		Expect(flags.Parse(container.Args)).To(Succeed())
		Expect(opts.Validate()).To(Succeed())
		Expect(opts.Manager.SecureMetrics()).To(BeTrue())
		port := strings.TrimPrefix(opts.Manager.MetricsAddress, ":")
		Expect(container.Ports).To(ContainElement(And(
			HaveField("Name", "metrics"), WithTransform(func(p corev1.ContainerPort) string { return fmt.Sprint(p.ContainerPort) }, Equal(port)))))
		policy := find[networkingv1.NetworkPolicy](objects, "NetworkPolicy", api.ManagerName)
		Expect(policy.Spec.Ingress[1].Ports).To(HaveExactElements(HaveField("Port", HaveValue(HaveField("IntVal", container.Ports[2].ContainerPort)))))

		host := service.Name + "." + service.Namespace + ".svc"
		certificate := find[unstructured.Unstructured](objects, "Certificate", api.WebhookCertificateName)
		names, _, err := unstructured.NestedStringSlice(certificate.Object, "spec", "dnsNames")
		Expect(err).NotTo(HaveOccurred())
		Expect(names).To(ContainElement(host))
		monitor := find[unstructured.Unstructured](objects, "ServiceMonitor", api.ManagerName)
		endpoints, _, err := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
		Expect(err).NotTo(HaveOccurred())
		Expect(endpoints).To(HaveExactElements(And(
			HaveKeyWithValue("scheme", "https"), HaveKeyWithValue("port", service.Spec.Ports[0].Name), HaveKeyWithValue("honorLabels", true),
			HaveKeyWithValue("tlsConfig", And(HaveKeyWithValue("serverName", host), HaveKeyWithValue("ca", HaveKeyWithValue("secret",
				HaveKeyWithValue("name", pod.Spec.Volumes[0].Secret.SecretName))))))))
	})

	It("are for the account that the policies look at", func(ctx SpecContext) {
		objects := kustomize(ctx, "default")
		account := find[appsv1.Deployment](objects, "Deployment", api.ManagerName).Spec.Template.Spec.ServiceAccountName
		Expect("system:serviceaccount:" + api.ManagerNamespace + ":" + account).To(Equal(api.ManagerUser))
		for _, object := range objects {
			if object.GetKind() == "ValidatingAdmissionPolicy" {
				policy := find[admissionv1.ValidatingAdmissionPolicy](objects, object.GetKind(), object.GetName())
				Expect(policy.Spec.MatchConditions).To(HaveExactElements(
					HaveField("Expression", "request.userInfo.username == '"+api.ManagerUser+"'")))
				find[admissionv1.ValidatingAdmissionPolicyBinding](objects, "ValidatingAdmissionPolicyBinding", object.GetName())
			}
		}
	})

	It("grant rights on Secrets to the manager's account alone, in one namespace", func(ctx SpecContext) {
		kubectl(ctx, nil, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-n", newNamespace(ctx),
			"-f", "components/secret-results/role_binding.yaml")
		objects, err := config.Load(config.SecretResultsManifests...)
		Expect(err).NotTo(HaveOccurred())
		binding := find[rbacv1.RoleBinding](objects, "RoleBinding", api.SecretResultsRole)
		Expect(binding.RoleRef.Name).To(Equal(api.SecretResultsRole))
		Expect(binding.Subjects).To(HaveExactElements(rbacv1.Subject{
			Kind: rbacv1.ServiceAccountKind, Namespace: api.ManagerNamespace, Name: api.ManagerName,
		}))
		rendered, err := config.Decode(overlay(ctx, "default", "secret-results"))
		Expect(err).NotTo(HaveOccurred())
		for _, object := range rendered {
			Expect([]string{object.GetKind(), object.GetName()}).NotTo(Equal([]string{"RoleBinding", api.SecretResultsRole}))
		}
	})

	It("are what `make undeploy` removes, whatever components were installed", func(ctx SpecContext) {
		recipe := string(run(ctx, nil, "make", "--directory=..", "--dry-run", "--no-print-directory", "undeploy"))
		_, rendering, found := strings.Cut(recipe, "install-manifest ")
		Expect(found).To(BeTrue(), recipe)
		rendering, _, _ = strings.Cut(rendering, "\n")
		components, err := os.ReadDir("components")
		Expect(err).NotTo(HaveOccurred())
		Expect(components).NotTo(BeEmpty())
		for _, component := range components {
			Expect(strings.Fields(rendering)).To(ContainElement(component.Name()))
		}
	})

	It("refuse opted-in Jobs in the manager's absence only where that is asked for", func(ctx SpecContext) {
		policies := func(text []byte) (policies []string) {
			objects, err := config.Decode(text)
			Expect(err).NotTo(HaveOccurred())
			mutating := find[admissionv1.MutatingWebhookConfiguration](objects, "MutatingWebhookConfiguration", api.ManagerName)
			for _, webhook := range mutating.Webhooks {
				policies = append(policies, string(*webhook.FailurePolicy))
			}
			validating := find[admissionv1.ValidatingWebhookConfiguration](objects, "ValidatingWebhookConfiguration", api.ManagerName)
			return append(policies, string(*validating.Webhooks[0].FailurePolicy))
		}
		Expect(policies(overlay(ctx, "default"))).To(HaveExactElements("Ignore", "Ignore", "Ignore", "Ignore", "Ignore"))
		Expect(policies(overlay(ctx, "default", "fail-closed"))).To(HaveExactElements("Fail", "Fail", "Ignore", "Ignore", "Ignore"))
	})
})

// installKinds has the API server know the kinds in the manifests, and their
// namespaces: in a dry run nothing is created that what follows needs.
func installKinds(ctx context.Context) {
	GinkgoHelper()
	crds := certManagerCRDs(ctx)
	kubectl(ctx, nil, "apply", "--server-side", "-f", filepath.Join(crds, "cert-manager.io_certificates.yaml"),
		"-f", filepath.Join(crds, "cert-manager.io_issuers.yaml"))
	monitoring := filepath.Join(moduleDir(ctx, prometheusOperator), "example", "prometheus-operator-crd")
	kubectl(ctx, nil, "apply", "--server-side", "-f", filepath.Join(monitoring, "monitoring.coreos.com_servicemonitors.yaml"),
		"-f", filepath.Join(monitoring, "monitoring.coreos.com_prometheusrules.yaml"))
	kubectl(ctx, nil, "wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
	for _, folder := range []string{"default", "samples"} {
		for _, object := range kustomize(ctx, folder) {
			if object.GetKind() == "Namespace" {
				Expect(client.IgnoreAlreadyExists(kube.Create(ctx, object))).To(Succeed())
			}
		}
	}
}

// kubectl runs kubectl as the administrator and returns what it prints.
func kubectl(ctx context.Context, stdin []byte, args ...string) []byte {
	GinkgoHelper()
	cluster := kube.Cluster()
	return run(ctx, stdin, cluster.Kubectl(), append([]string{"--kubeconfig", cluster.Kubeconfig()}, args...)...)
}

func run(ctx context.Context, stdin []byte, program string, args ...string) []byte {
	GinkgoHelper()
	command := exec.CommandContext(ctx, program, args...)
	var problems bytes.Buffer
	command.Stdin, command.Stderr = bytes.NewReader(stdin), &problems
	output, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), "%s %s: %s", filepath.Base(program), strings.Join(args, " "), &problems)
	return output
}

// certManagerCRDs returns the folder with cert-manager's own definitions.
func certManagerCRDs(ctx context.Context) string {
	GinkgoHelper()
	return filepath.Join(moduleDir(ctx, certManager), "deploy", "crds")
}

// moduleDir returns the folder of a module's release.
func moduleDir(ctx context.Context, release string) string {
	GinkgoHelper()
	var module struct{ Dir string }
	Expect(json.Unmarshal(run(ctx, nil, "go", "mod", "download", "-json", release), &module)).To(Succeed())
	return module.Dir
}

// overlay returns what kubectl makes of a folder here with components.
func overlay(ctx context.Context, folder string, components ...string) []byte {
	GinkgoHelper()
	if len(components) == 0 {
		return kubectl(ctx, nil, "kustomize", folder)
	}
	here, err := os.Getwd()
	Expect(err).NotTo(HaveOccurred())
	dir, err := filepath.EvalSymlinks(GinkgoT().TempDir())
	Expect(err).NotTo(HaveOccurred())
	base, err := filepath.Rel(dir, here)
	Expect(err).NotTo(HaveOccurred())
	text := fmt.Sprintf("resources: [%s/%s]\ncomponents:\n", base, folder)
	for _, component := range components {
		text += fmt.Sprintf("- %s/components/%s\n", base, component)
	}
	Expect(os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600)).To(Succeed())
	return kubectl(ctx, nil, "kustomize", dir)
}

func kustomize(ctx context.Context, folder string) []*unstructured.Unstructured {
	GinkgoHelper()
	objects, err := config.Decode(overlay(ctx, folder))
	Expect(err).NotTo(HaveOccurred())
	return objects
}

// find returns the object of this kind and name as a *T.
func find[T any, P interface {
	*T
	client.Object
}](objects []*unstructured.Unstructured, kind, name string) P {
	GinkgoHelper()
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			typed := P(new(T))
			if u, ok := any(typed).(*unstructured.Unstructured); ok {
				*u = *object
				return typed
			}
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed)).To(Succeed())
			return typed
		}
	}
	Fail(fmt.Sprintf("there is no %s %s", kind, name))
	return nil
}
