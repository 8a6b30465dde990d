package main

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/apiserver"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
)

// soon is how long something that is about to happen may take on a busy machine.
const soon = jobtest.Soon

// start is when the Jobs of these tests started; they ended 90 s later, and it
// is a day after that.
var (
	start = time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
	now   = start.Add(90*time.Second + 24*time.Hour)
)

var (
	kube *apiserver.Server
	// namespace is the current spec's own.
	namespace string
)

func TestIntegration(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "kubectl job-results")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	kube = suite.Start(ctx)
}, NodeTimeout(apiserver.StartTimeout))

var _ = BeforeEach(func(ctx SpecContext) {
	namespace = newNamespace(ctx, nil)
})

func newNamespace(ctx context.Context, labels map[string]string) string {
	GinkgoHelper()
	builder := suite.Namespace()
	for key, value := range labels {
		builder.Label(key, value)
	}
	return suite.NewNamespace(ctx, kube, builder)
}

// outcome is what a command printed, and how it ended.
type outcome struct {
	out, err string
	code     int
}

// command runs the plugin in the spec's namespace.
func command(ctx context.Context, args ...string) outcome {
	return commandIn(ctx, namespace, args...)
}

func commandIn(ctx context.Context, namespace string, args ...string) outcome {
	var out, errOut bytes.Buffer
	streams := genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &out, ErrOut: &errOut}
	root := newCommand(streams, clocktesting.NewFakePassiveClock(now))
	root.SetArgs(append([]string{"--kubeconfig", kube.Cluster().Kubeconfig(), "--namespace", namespace}, args...))
	code := report(root.ExecuteContext(ctx), &errOut)
	return outcome{out.String(), errOut.String(), code}
}

// succeed runs the plugin and returns what it printed.
func succeed(ctx context.Context, args ...string) string {
	GinkgoHelper()
	result := command(ctx, args...)
	Expect(result.code).To(BeZero(), result.err)
	return result.out
}

// fail runs the plugin, wants it to fail, and returns the error it printed.
func fail(ctx context.Context, args ...string) string {
	GinkgoHelper()
	result := command(ctx, args...)
	Expect(result.code).To(Equal(exitError), result.out)
	Expect(result.out).To(BeEmpty())
	return result.err
}

// uidOf returns a UID that is the same for the same Job and run.
func uidOf(job string, run int) types.UID {
	return types.UID(fmt.Sprintf("%08x-1111-2222-3333-%012x", run, len(job)))
}

func completed(name string, run int) *batchv1.Job {
	return jobtest.MakeJob(namespace, name).UID(uidOf(name, run)).Started(start).Completed(start.Add(90 * time.Second)).Obj()
}

func failed(name string, run int) *batchv1.Job {
	return jobtest.MakeJob(namespace, name).UID(uidOf(name, run)).Started(start).
		Failed(start.Add(90*time.Second), batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit").Obj()
}

// build returns the results of run as the manager stores them, if they have no
// parts.
func build(run results.Run) *corev1.ConfigMap {
	GinkgoHelper()
	content, err := results.Build(run)
	Expect(err).NotTo(HaveOccurred())
	Expect(content.Parts).To(BeEmpty())
	return configMapOf(content, nameOf(run))
}

// configMapOf returns content as it is stored in a ConfigMap.
func configMapOf(content *results.Content, name string) *corev1.ConfigMap {
	return content.Object(api.ResultsKindConfigMap, namespace, name).Encode().(*corev1.ConfigMap)
}

func nameOf(run results.Run) string {
	return names.Candidates(names.Results(run.Job.Name), run.Job.UID)[min(1, int(run.Job.UID[7]-'1'))]
}

// store stores the results of run, its parts first, as the manager does.
func store(ctx context.Context, run results.Run) *corev1.ConfigMap {
	GinkgoHelper()
	content, err := results.Build(run)
	Expect(err).NotTo(HaveOccurred())
	cm, err := storeContent(ctx, run, content)
	Expect(err).NotTo(HaveOccurred())
	return cm
}

func storeContent(ctx context.Context, run results.Run, content *results.Content) (*corev1.ConfigMap, error) {
	name, job := nameOf(run), run.Job
	var parts []string
	for _, part := range content.Parts {
		partName := names.Parts(name, part.Number, part.SHA256, job.UID)[0]
		if err := kube.Create(ctx, configMapOf(content.PartContent(part, name), partName)); err != nil {
			return nil, fmt.Errorf("storing %d bytes: %w", len(part.Bytes), err)
		}
		parts = append(parts, partName)
	}
	if len(parts) > 0 {
		if err := content.ListParts(parts); err != nil {
			return nil, err
		}
	}
	cm := configMapOf(content, name)
	if err := kube.Create(ctx, cm); err != nil {
		return nil, fmt.Errorf("storing %d bytes: %w", content.Bytes(), err)
	}
	return cm, nil
}

// said stores the results of a Job that completed and printed text.
func said(ctx context.Context, job string, run int, text string) *corev1.ConfigMap {
	GinkgoHelper()
	return store(ctx, runs.Of(completed(job, run), runs.MakePod(job+"-abc12", start).Container("main", 0, []byte(text))))
}

// finish ends job with this status; where its results have a name, it says that
// they are stored.
func finish(ctx context.Context, job *batchv1.Job, status, results string) {
	GinkgoHelper()
	at := job.CreationTimestamp
	job.Status.StartTime = &at
	kind := batchv1.JobFailed
	if status == api.StatusCompleted {
		job.Status.CompletionTime = &at
		kind = batchv1.JobComplete
	}
	for _, condition := range versions.Ending(kind) {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: condition, Status: corev1.ConditionTrue, LastTransitionTime: at,
		})
	}
	Expect(kube.Status().Update(ctx, job)).To(Succeed())
	if results != "" {
		metav1.SetMetaDataAnnotation(&job.ObjectMeta, api.StatusAnnotation, status)
		metav1.SetMetaDataAnnotation(&job.ObjectMeta, api.ResultsNameAnnotation, results)
		Expect(kube.Update(ctx, job)).To(Succeed())
	}
}

// reseal makes the annotations of cm agree with its content again.
func reseal(cm *corev1.ConfigMap) {
	cm.Annotations[api.SHA256Annotation] = results.Digest(cm.Data, cm.BinaryData)
}

// grantConfigMaps lets a user read ConfigMaps of the spec's namespace, and
// nothing else.
func grantConfigMaps(ctx context.Context, user string) {
	GinkgoHelper()
	grant(ctx, user, rule("configmaps"))
}

// rule lets read and watch a resource of the core group, or of another one.
func rule(resource string, group ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: append(group, "")[:1], Resources: []string{resource}, Verbs: []string{"get", "list", "watch"}}
}

// grant gives a user these rights in the spec's namespace, among them that to
// read ConfigMaps.
func grant(ctx context.Context, user string, rules ...rbacv1.PolicyRule) {
	GinkgoHelper()
	Expect(kube.Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user},
		Rules:      rules,
	})).To(Succeed())
	Expect(kube.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
	Eventually(ctx, func(ctx SpecContext) int { return command(ctx, "--as="+user, "list").code }).Should(BeZero())
}
