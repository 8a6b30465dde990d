package e2e

import (
	"context"
	"slices"
	"strings"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/results"
)

// reason is a Job that fails, and what a person needs to be told of it.
type reason struct {
	job string
	// change makes the Job one that fails for this reason.
	change func(*story, *corev1.PodSpec)
	// namespace prepares a namespace of the Job's own; nil: it needs none.
	namespace func(*story, string)
	// told are the words that the results' message has, event those that the Event has
	// besides the reason of the Job's condition.
	told  []string
	event string
	// ended is true if the Job fails by itself; else its deadline is set once its pod, or
	// the Job, has the Event or the waiting reason of this name.
	ended   bool
	waitFor string
}

// firstLines is how many lines of a screen a person in a hurry reads.
const firstLines = 5

// notThere is the name of what is not there.
const notThere = "not-there"

// neverRan are Jobs of which no container ever runs.
var neverRan = []reason{
	{
		job: "image-name", change: withImage("localhost/No-Such-Image:1"), waitFor: "InvalidImageName",
		told: []string{"InvalidImageName", "localhost/No-Such-Image:1", "must be lowercase"}, event: "container main: InvalidImageName",
	},
	{
		job: "image-missing", change: withImage("localhost/no-such-image:1"), waitFor: "ImagePullBackOff",
		told: []string{"localhost/no-such-image:1"}, event: "container main: ",
	},
	{
		job: "image-never-pulled", waitFor: "ErrImageNeverPull",
		change: func(_ *story, pod *corev1.PodSpec) {
			pod.Containers[0].Image, pod.Containers[0].ImagePullPolicy = "localhost/no-such-image:1", corev1.PullNever
		},
		told: []string{"ErrImageNeverPull", "localhost/no-such-image:1"}, event: "container main: ErrImageNeverPull",
	},
	{
		job: "no-node", waitFor: "FailedScheduling",
		change: func(_ *story, pod *corev1.PodSpec) { pod.NodeSelector = map[string]string{"disk": notThere} },
		told:   []string{"0/1 nodes are available", "didn't match Pod's node affinity/selector"}, event: "Unschedulable",
	},
	{
		job: "too-large", waitFor: "FailedScheduling",
		change: func(_ *story, pod *corev1.PodSpec) {
			pod.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1000")}
		},
		told: []string{"0/1 nodes are available", "Insufficient cpu"}, event: "Unschedulable",
	},
	{
		job: "volume-missing", waitFor: "FailedMount",
		change: func(_ *story, pod *corev1.PodSpec) {
			pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "keys", VolumeSource: corev1.VolumeSource{
				Secret: &corev1.SecretVolumeSource{SecretName: notThere},
			}})
			pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "keys", MountPath: "/keys"})
		},
		told: []string{"FailedMount", "keys", `secret "not-there" not found`}, event: "FailedMount",
	},
	{
		job: "secret-missing", waitFor: "CreateContainerConfigError",
		change: func(_ *story, pod *corev1.PodSpec) {
			pod.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: notThere},
			}}}
		},
		told: []string{"CreateContainerConfigError", `secret "not-there" not found`}, event: "container main: CreateContainerConfigError",
	},
	{
		job: "no-sandbox", waitFor: "FailedCreatePodSandBox",
		change: func(s *story, pod *corev1.PodSpec) {
			pod.RuntimeClassName = new(s.namespace)
			s.create(&nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}, Handler: notThere})
		},
		told: []string{"FailedCreatePodSandBox", notThere}, event: "FailedCreatePodSandBox",
	},
}

// noPod are Jobs of which the API server refuses every pod.
var noPod = []reason{
	{
		job: "no-account", waitFor: "FailedCreate",
		change: func(_ *story, pod *corev1.PodSpec) { pod.ServiceAccountName = notThere },
		told:   []string{"FailedCreate", `serviceaccount "not-there" not found`}, event: "FailedCreate",
	},
	{
		job: "over-quota", waitFor: "FailedCreate", namespace: withQuota,
		told: []string{"FailedCreate", "exceeded quota: none", "pods=0"}, event: "FailedCreate",
	},
	{
		job: "insecure", waitFor: "FailedCreate", namespace: restricted,
		told: []string{"FailedCreate", "violates PodSecurity", "allowPrivilegeEscalation"}, event: "FailedCreate",
	},
	{
		job: "refused", waitFor: "FailedCreate", namespace: refusing,
		told: []string{"FailedCreate", "pods need a cost center"}, event: "FailedCreate",
	},
	{
		job: "refused-by-webhook", waitFor: "FailedCreate", namespace: refusingByWebhook,
		told: []string{"FailedCreate", `admission webhook "pods.example.com" denied the request`, "pods need an owner"}, event: "FailedCreate",
	},
}

// crashed are Jobs of which a container ran, or nearly did.
var crashed = []reason{
	{
		job: "init-fails", ended: true,
		change: func(_ *story, pod *corev1.PodSpec) {
			pod.InitContainers = []corev1.Container{pod.Containers[0]}
			pod.InitContainers[0].Name = "migrate"
			pod.InitContainers[0].Command = []string{"sh", "-c", "echo the schema is locked > /dev/termination-log; exit 7"}
		},
		told: []string{"init container migrate", "exit code 7", "the schema is locked"}, event: "init container migrate: Error, exit code 7",
	},
	{
		job: "no-command", ended: true,
		change: func(_ *story, pod *corev1.PodSpec) { pod.Containers[0].Command = []string{notThere} },
		told:   []string{"StartError", notThere, "executable file not found"}, event: "container main: StartError",
	},
	{
		job: "out-of-memory", ended: true, change: withMemory(`exec tail /dev/zero`),
		told: []string{"OOMKilled", "exit code 137", "more memory than its limit"}, event: "container main: OOMKilled, exit code 137",
	},
	{
		job: "child-out-of-memory", ended: true, change: withMemory(`tail /dev/zero; echo "the child ended with $?"; sleep 1; exit 3`),
		told: []string{"exit code 3", "OOMKilled", "a process in the container was killed"}, event: "container main: OOMKilled, exit code 3",
	},
}

func withImage(image string) func(*story, *corev1.PodSpec) {
	return func(_ *story, pod *corev1.PodSpec) {
		pod.Containers[0].Image, pod.Containers[0].ImagePullPolicy = image, corev1.PullIfNotPresent
	}
}

func withMemory(script string) func(*story, *corev1.PodSpec) {
	return func(_ *story, pod *corev1.PodSpec) {
		pod.Containers[0].Command = []string{"sh", "-c", script}
		pod.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("24Mi")}
	}
}

func withQuota(s *story, namespace string) {
	s.create(jobtest.MakeNamespace(namespace).Label(api.EnabledLabel, api.True).Obj())
	s.create(&corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	})
	// The quota counts once its controller has looked at it.
	s.eventually(func(g Gomega) {
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none"}}
		g.Expect(s.w.client.Get(s.ctx(), client.ObjectKeyFromObject(quota), quota)).To(Succeed())
		g.Expect(quota.Status.Hard).NotTo(BeEmpty())
	})
}

func restricted(s *story, namespace string) {
	s.create(jobtest.MakeNamespace(namespace).Label(api.EnabledLabel, api.True).
		Label("pod-security.kubernetes.io/enforce", "restricted").Obj())
}

// refusing makes a namespace in which a policy of the cluster refuses pods.
func refusing(s *story, namespace string) {
	s.create(jobtest.MakeNamespace(namespace).Label(api.EnabledLabel, api.True).Obj())
	s.create(&admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: podsCreated(),
			}}},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "pods need a cost center"}},
		},
	})
	s.create(&admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{corev1.LabelMetadataName: namespace},
			}},
		},
	})
	s.t.Cleanup(func() {
		ctx := context.WithoutCancel(s.ctx())
		_ = s.w.client.Delete(ctx, &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		_ = s.w.client.Delete(ctx, &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	})
	s.podsRefused(namespace, "cost center")
}

// refusingByWebhook makes a namespace in which a validating webhook refuses pods.
func refusingByWebhook(s *story, namespace string) {
	s.create(jobtest.MakeNamespace(namespace).Label(api.EnabledLabel, api.True).Obj())
	asked := s.answering(func(context.Context, admission.Request) admission.Response {
		return admission.Denied("pods need an owner")
	})
	s.create(&admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name:         "pods.example.com",
			ClientConfig: asked,
			Rules:        []admissionv1.RuleWithOperations{podsCreated()},
			NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{corev1.LabelMetadataName: namespace},
			},
			SideEffects:             new(admissionv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	})
	s.t.Cleanup(func() {
		configuration := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		_ = s.w.client.Delete(context.WithoutCancel(s.ctx()), configuration)
	})
	s.podsRefused(namespace, "need an owner")
}

func podsCreated() admissionv1.RuleWithOperations {
	return admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}
}

// podsRefused waits until the API server refuses pods with these words.
func (s *story) podsRefused(namespace, words string) {
	s.eventually(func(g Gomega) {
		probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "probe"}, Spec: jobtest.MakeJob("", "").Script("true").Obj().Spec.Template.Spec}
		g.Expect(s.w.client.Create(s.ctx(), probe, client.DryRunAll)).To(MatchError(ContainSubstring(words)))
	})
}

// whyNeverRan: of Jobs that never ran the results say why, in the words that a person
// needs, and nothing counts as lost.
func whyNeverRan(s *story) { s.tellWhy(neverRan) }

// whyNoPod: the same for Jobs that never had a pod.
func whyNoPod(s *story) { s.tellWhy(noPod) }

// whyCrashed: the same for Jobs of which a container ended badly.
func whyCrashed(s *story) { s.tellWhy(crashed) }

func (s *story) tellWhy(reasons []reason) {
	s.optedIn()
	jobs := make([]*batchv1.Job, len(reasons))
	for i, each := range reasons {
		b := s.job(each.job, "true")
		job := b.Obj()
		if each.namespace != nil {
			job.Namespace = s.namespace + "-" + each.job
			s.others = append(s.others, job.Namespace)
			each.namespace(s, job.Namespace)
		}
		if each.change != nil {
			each.change(s, &job.Spec.Template.Spec)
		}
		jobs[i] = s.start(b)
	}
	for i, each := range reasons {
		if !each.ended {
			s.eventually(func(g Gomega) { g.Expect(s.heard(g, jobs[i])).To(ContainElement(each.waitFor), each.job) })
			s.refresh(jobs[i])
			s.change(jobs[i], func() { jobs[i].Spec.ActiveDeadlineSeconds = new(int64(1)) })
		}
	}
	for i, each := range reasons {
		job := s.reported(jobs[i])
		r := s.stored(job)
		s.complete(r)
		for _, words := range each.told {
			s.Expect(r.Data).To(HaveKeyWithValue(api.DataMessage, ContainSubstring(words)), each.job)
			s.Expect(r.record.Message).To(ContainSubstring(words), each.job)
		}
		s.Expect(r.record.Explanation).NotTo(BeNil(), each.job)
		s.w.say("%s: %s", each.job, r.record.Message)
		s.Expect(s.told(job, corev1.EventTypeWarning)).To(ContainElement(And(HavePrefix("Job failed ("), ContainSubstring(each.event))), each.job)
		s.shownWhy(job, each.told)
		if !each.ended {
			s.Expect(r.record.Explanation.Container == "" || each.waitFor == "ImagePullBackOff" || each.waitFor == r.record.Explanation.Reason).To(BeTrue(), each.job)
			s.Expect(r.Data).To(HaveKeyWithValue(api.DataLogs, Or(ContainSubstring("[job-handler: no log: "+results.ReasonNeverStarted), ContainSubstring("the Job had no pod"))), each.job)
		}
	}
}

// shownWhy wants `kubectl job-results get` to give the reason in its first lines.
func (s *story) shownWhy(job *batchv1.Job, told []string) {
	s.t.Helper()
	lines := strings.SplitN(s.jobResults(job.Namespace, "get", job.Name), "\n", firstLines+1)
	top := strings.Join(lines[:min(firstLines, len(lines))], "\n")
	s.Expect(top).To(ContainSubstring("Why: "), job.Name)
	for _, words := range told {
		s.Expect(top).To(ContainSubstring(words), job.Name)
	}
}

// heard returns the reasons of the Events of the Job and its pods, and those for which
// containers wait.
func (s *story) heard(g Gomega, job *batchv1.Job) []string {
	var list corev1.EventList
	g.Expect(s.w.client.List(s.ctx(), &list, client.InNamespace(job.Namespace))).To(Succeed())
	var reasons []string
	pods := s.pods(g, job)
	for _, event := range list.Items {
		about := event.InvolvedObject.UID
		if about == job.UID || slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return pod.UID == about }) {
			reasons = append(reasons, event.Reason)
		}
	}
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			if status.State.Waiting != nil {
				reasons = append(reasons, status.State.Waiting.Reason)
			}
		}
	}
	return reasons
}
