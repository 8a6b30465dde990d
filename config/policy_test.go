package config_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobpatch"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/jobtest/versions"
)

// allowed stands for the message of what is not refused.
const allowed = ""

// answerWith matches success, or a refusal by a policy with this message.
func answerWith(message string) gomegatypes.GomegaMatcher {
	if message == allowed {
		return Succeed()
	}
	return And(Satisfy(apierrors.IsForbidden), MatchError(And(
		ContainSubstring("ValidatingAdmissionPolicy 'job-handler-"), ContainSubstring(message))))
}

// resultsOf returns what the manager creates.
func resultsOf(namespace string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "report-results", Labels: map[string]string{api.CreatedLabel: api.True},
		},
		Immutable: new(true),
		Data:      map[string]string{api.DataLogs: "done"},
	}
}

var _ = Describe("What the policies let the manager do with ConfigMaps", func() {
	const (
		onlyCreates = "creates a ConfigMap only if it is immutable and labelled job-handler/created=true"
		onlyDeletes = "deletes a ConfigMap only if it is immutable, labelled job-handler/created=true, and without an owner or captures of its Job"
	)

	changes := func(answer, ownedAnswer, mutableAnswer string) []any {
		mutable := func(cm *corev1.ConfigMap) { cm.Immutable = nil }
		return []any{
			Entry("results", func(*corev1.ConfigMap) {}, answer),
			Entry("results with more labels", func(cm *corev1.ConfigMap) { cm.Labels["team"] = "blue" }, answer),
			Entry("results with an owner", func(cm *corev1.ConfigMap) { cm.OwnerReferences = anOwner() }, ownedAnswer),
			Entry("a mutable one", mutable, mutableAnswer),
			Entry("one that says it is mutable", func(cm *corev1.ConfigMap) { cm.Immutable = new(false) }, mutableAnswer),
			Entry("one without labels", func(cm *corev1.ConfigMap) { cm.Labels = nil }, mutableAnswer),
			Entry("one without the label", func(cm *corev1.ConfigMap) { cm.Labels = map[string]string{"team": "blue"} }, mutableAnswer),
			Entry("one with another value", func(cm *corev1.ConfigMap) { cm.Labels[api.CreatedLabel] = "yes" }, mutableAnswer),
			Entry("one with an annotation instead", func(cm *corev1.ConfigMap) {
				cm.Labels, cm.Annotations = nil, map[string]string{api.CreatedLabel: api.True}
			}, mutableAnswer),
		}
	}

	DescribeTable("creation", append([]any{func(ctx SpecContext, change func(*corev1.ConfigMap), answer string) {
		object := resultsOf(newNamespace(ctx))
		change(object)
		Expect(manager.Create(ctx, object)).To(answerWith(answer))
	}}, changes(allowed, onlyTheJob, onlyCreates)...)...)

	DescribeTable("deletion", append([]any{func(ctx SpecContext, change func(*corev1.ConfigMap), answer string) {
		object := resultsOf(newNamespace(ctx))
		change(object)
		Expect(kube.Create(ctx, object)).To(Succeed())
		Expect(manager.Delete(ctx, object)).To(answerWith(answer))
	}}, changes(allowed, onlyDeletes, onlyDeletes)...)...)

	DescribeTable("change", append([]any{func(ctx SpecContext, change func(*corev1.ConfigMap), answer string) {
		object := resultsOf(newNamespace(ctx))
		change(object)
		Expect(kube.Create(ctx, object)).To(Succeed())
		metav1.SetMetaDataLabel(&object.ObjectMeta, "job-handler/status", "completed")
		Expect(almighty.Update(ctx, object)).To(answerWith(answer))
	}}, changes("never changes a ConfigMap", "never changes a ConfigMap", "never changes a ConfigMap")...)...)

	It("is nobody else's affair", func(ctx SpecContext) {
		object := resultsOf(newNamespace(ctx))
		object.Immutable, object.Labels = nil, nil
		config, err := kube.Cluster().ConfigFor("system:serviceaccount:team:job-handler", "system:masters")
		Expect(err).NotTo(HaveOccurred())
		other := suite.Client(config)
		Expect(other.Create(ctx, object)).To(Succeed())
		object.Data = map[string]string{"a": "b"}
		Expect(other.Update(ctx, object)).To(Succeed())
		Expect(other.Delete(ctx, object)).To(Succeed())
	})
})

var _ = DescribeTable("What the policies let the manager change of Namespaces",
	func(ctx SpecContext, change func(*corev1.Namespace), answer string) {
		object := &corev1.Namespace{}
		Expect(kube.Get(ctx, client.ObjectKey{Name: newNamespace(ctx)}, object)).To(Succeed())
		object.Labels["team"] = "blue"
		object.Annotations = map[string]string{"owner": "ann", api.EnabledAnnotation: api.True}
		object.Finalizers = []string{"example.com/theirs"}
		Expect(kube.Update(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error {
			return kube.Patch(ctx, object, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))
		})

		changed := object.DeepCopy()
		change(changed)
		Expect(almighty.Patch(ctx, changed, client.MergeFrom(object))).To(answerWith(answer))
	},
	Entry("nothing", func(*corev1.Namespace) {}, allowed),
	Entry("its label", func(n *corev1.Namespace) { n.Labels[api.EnabledLabel] = api.True }, allowed),
	Entry("its annotations", func(n *corev1.Namespace) {
		n.Annotations[api.EnabledMirroredAnnotation], n.Annotations[api.EnabledSinceAnnotation] = api.True, "2026-11-23T10:00:00Z"
	}, allowed),
	Entry("its annotations away", func(n *corev1.Namespace) { delete(n.Annotations, api.EnabledAnnotation) }, allowed),
	Entry("a label of others", func(n *corev1.Namespace) { n.Labels["team"] = "red" }, "no label of a Namespace"),
	Entry("a new label of others", func(n *corev1.Namespace) {
		n.Labels["pod-security.kubernetes.io/enforce"] = "privileged"
	}, "no label of a Namespace"),
	Entry("a label of others away", func(n *corev1.Namespace) { delete(n.Labels, "team") }, "no label of a Namespace"),
	Entry("a label that looks like its own", func(n *corev1.Namespace) { n.Labels["job-handler.io/enabled"] = "" }, "no label of a Namespace"),
	Entry("an annotation of others", func(n *corev1.Namespace) { n.Annotations["owner"] = "bob" }, "no annotation of a Namespace"),
	Entry("a new annotation of others", func(n *corev1.Namespace) { n.Annotations["scheduler"] = "x" }, "no annotation of a Namespace"),
	Entry("an annotation of others away", func(n *corev1.Namespace) { delete(n.Annotations, "owner") }, "no annotation of a Namespace"),
	Entry("an annotation of others away, for one of its own", func(n *corev1.Namespace) {
		delete(n.Annotations, "owner")
		n.Annotations["job-handler/any"] = "x"
	}, "no annotation of a Namespace"),
	Entry("a label of others away, for one of its own", func(n *corev1.Namespace) {
		delete(n.Labels, "team")
		n.Labels["job-handler/any"] = "x"
	}, "no label of a Namespace"),
	Entry("a finalizer", func(n *corev1.Namespace) { n.Finalizers = append(n.Finalizers, "job-handler/results") }, "nothing in the metadata of a Namespace"),
	Entry("a finalizer away", func(n *corev1.Namespace) { n.Finalizers = nil }, "nothing in the metadata of a Namespace"),
	Entry("an owner", func(n *corev1.Namespace) { n.OwnerReferences = anOwner() }, "nothing in the metadata of a Namespace"),
)

func anOwner() []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "1"}}
}

var _ = Describe("What the policies let the manager do with Jobs", func() {
	plain := func(*jobtest.JobBuilder) {}
	suspended := func(b *jobtest.JobBuilder) { b.Suspended() }
	optedIn := func(b *jobtest.JobBuilder) { b.Label(api.EnabledLabel, api.True) }
	held := func(b *jobtest.JobBuilder) { b.Label(api.EnabledLabel, api.True).Finalizer("job-handler/results") }
	const (
		metadata    = "nothing in the metadata of a Job"
		labels      = "no label of a Job"
		annotations = "no annotation of a Job"
		finalizers  = "no finalizer of a Job"
		notOptedIn  = "puts its finalizer only on a Job that is opted in"
		spec        = "nothing in the spec of a Job but ttlSecondsAfterFinished"
		template    = "nothing in the pod template of a Job"

		onlyStored   = "deletes a Job only once its results are stored"
		onlyFinished = "deletes a Job only once it has finished"
	)

	DescribeTable("change", func(ctx SpecContext, prepare func(*jobtest.JobBuilder), change func(*batchv1.Job), answer string) {
		builder := jobtest.MakeJob(newNamespace(ctx), "report").
			Label("team", "blue").Annotation("owner", "ann").TemplateLabel("team", "blue")
		prepare(builder)
		object := builder.Finalizer("example.com/theirs").Obj()
		Expect(kube.Create(ctx, object)).To(Succeed())

		changed := object.DeepCopy()
		change(changed)
		Expect(manager.Patch(ctx, changed, jobpatch.From(object))).To(answerWith(answer))
	},
		Entry("its label", plain, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.True }, allowed),
		Entry("its annotations", plain, func(j *batchv1.Job) {
			j.Annotations[api.StatusAnnotation], j.Annotations[api.CaptureAnnotation] = api.StatusCompleted, api.CaptureComplete
			j.Annotations[api.ResultsNameAnnotation] = "report-results"
		}, allowed),
		Entry("its finalizer", optedIn, func(j *batchv1.Job) { j.Finalizers = append(j.Finalizers, "job-handler/results") }, allowed),
		Entry("its finalizer, with its label", plain, func(j *batchv1.Job) {
			j.Labels[api.EnabledLabel], j.Finalizers = api.True, append(j.Finalizers, "job-handler/results")
		}, allowed),
		Entry("its finalizer in front of others", optedIn, func(j *batchv1.Job) {
			j.Finalizers = append([]string{"job-handler/results"}, j.Finalizers...)
		}, allowed),
		Entry("its finalizer away", held, func(j *batchv1.Job) { j.Finalizers = []string{"example.com/theirs"} }, allowed),
		Entry("its finalizer away, with its label", held, func(j *batchv1.Job) {
			delete(j.Labels, api.EnabledLabel)
			j.Finalizers = []string{"example.com/theirs"}
		}, allowed),
		Entry("its status on a Job that has its finalizer and opted out", func(b *jobtest.JobBuilder) {
			held(b)
			b.Label(api.EnabledLabel, api.False)
		}, func(j *batchv1.Job) { j.Annotations[api.StatusAnnotation] = api.StatusCompleted }, allowed),
		Entry("a TTL", plain, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = new(int32(3600)) }, allowed),
		Entry("another TTL", func(b *jobtest.JobBuilder) { b.TTL(0) }, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = new(int32(3600)) }, allowed),
		Entry("no TTL", func(b *jobtest.JobBuilder) { b.TTL(0) }, func(j *batchv1.Job) { j.Spec.TTLSecondsAfterFinished = nil }, allowed),
		Entry("the template's label, suspended", suspended, func(j *batchv1.Job) {
			j.Spec.Template.Labels[api.EnabledLabel] = api.True
		}, allowed),
		Entry("all at once", suspended, func(j *batchv1.Job) {
			j.Labels[api.EnabledLabel], j.Spec.Template.Labels[api.EnabledLabel] = api.True, api.True
			j.Annotations[api.TTLAnnotation], j.Spec.TTLSecondsAfterFinished = "0", new(int32(3600))
		}, allowed),

		Entry("the labels with the Job's name and UID", plain, func(j *batchv1.Job) {
			j.Labels["job-name"], j.Labels[batchv1.JobNameLabel] = j.Name, j.Name
			j.Labels["controller-uid"], j.Labels[batchv1.ControllerUidLabel] = string(j.UID), string(j.UID)
		}, allowed),
		Entry("a name that is not the Job's", plain, func(j *batchv1.Job) { j.Labels["job-name"] = "other" }, labels),
		Entry("a UID that is not the Job's", plain, func(j *batchv1.Job) { j.Labels[batchv1.ControllerUidLabel] = "other" }, labels),
		Entry("the name where a UID belongs", plain, func(j *batchv1.Job) { j.Labels["controller-uid"] = j.Name }, labels),
		Entry("a name that its user wrote", func(b *jobtest.JobBuilder) { b.Label("job-name", "mine") },
			func(j *batchv1.Job) { j.Labels["job-name"] = j.Name }, labels),
		Entry("a name away", func(b *jobtest.JobBuilder) { b.Label("job-name", "report") },
			func(j *batchv1.Job) { delete(j.Labels, "job-name") }, labels),

		Entry("a label of others", plain, func(j *batchv1.Job) { j.Labels["team"] = "red" }, labels),
		Entry("a new label of others", plain, func(j *batchv1.Job) { j.Labels["queue"] = "x" }, labels),
		// A Job that is left without labels would get its template's, by defaulting.
		Entry("a label of others away", func(b *jobtest.JobBuilder) { b.Label("queue", "x") },
			func(j *batchv1.Job) { delete(j.Labels, "team") }, labels),
		Entry("an annotation of others", plain, func(j *batchv1.Job) { j.Annotations["owner"] = "bob" }, annotations),
		Entry("a new annotation of others", plain, func(j *batchv1.Job) { j.Annotations["x"] = "y" }, annotations),
		Entry("an annotation of others away", plain, func(j *batchv1.Job) { delete(j.Annotations, "owner") }, annotations),
		Entry("an annotation of others away, for one of its own", plain, func(j *batchv1.Job) {
			delete(j.Annotations, "owner")
			j.Annotations["job-handler/any"] = "x"
		}, annotations),
		Entry("a label of others away, for one of its own", plain, func(j *batchv1.Job) {
			delete(j.Labels, "team")
			j.Labels["job-handler/any"] = "x"
		}, labels),
		Entry("an annotation of others empty", func(b *jobtest.JobBuilder) { b.Annotation("empty", "") },
			func(j *batchv1.Job) { delete(j.Annotations, "empty") }, annotations),
		Entry("an annotation of its own for another of its own", func(b *jobtest.JobBuilder) { b.Annotation("job-handler/any", "x") },
			func(j *batchv1.Job) {
				delete(j.Annotations, "job-handler/any")
				j.Annotations["job-handler/other"] = "x"
			}, allowed),
		Entry("a finalizer of others away", plain, func(j *batchv1.Job) { j.Finalizers = nil }, finalizers),
		Entry("a finalizer of others", plain, func(j *batchv1.Job) { j.Finalizers = append(j.Finalizers, "example.com/x") }, finalizers),
		Entry("a finalizer of others for its own", optedIn, func(j *batchv1.Job) { j.Finalizers = []string{"job-handler/results"} }, finalizers),
		Entry("all finalizers away", held, func(j *batchv1.Job) { j.Finalizers = nil }, finalizers),
		Entry("others' finalizers in another order", func(b *jobtest.JobBuilder) { b.Finalizer("example.com/first") },
			func(j *batchv1.Job) { slices.Reverse(j.Finalizers) }, finalizers),
		Entry("another finalizer with its prefix", optedIn, func(j *batchv1.Job) { j.Finalizers = append(j.Finalizers, "job-handler/x") }, finalizers),
		Entry("its finalizer on a Job that is not opted in", plain,
			func(j *batchv1.Job) { j.Finalizers = append(j.Finalizers, "job-handler/results") }, notOptedIn),
		Entry("its finalizer on a Job that opted out", func(b *jobtest.JobBuilder) { b.Label(api.EnabledLabel, api.False) },
			func(j *batchv1.Job) { j.Finalizers = append(j.Finalizers, "job-handler/results") }, notOptedIn),
		Entry("an owner", plain, func(j *batchv1.Job) { j.OwnerReferences = anOwner() }, metadata),
		Entry("suspension", plain, func(j *batchv1.Job) { j.Spec.Suspend = new(true) }, spec),
		Entry("resumption", suspended, func(j *batchv1.Job) { j.Spec.Suspend = new(false) }, spec),
		Entry("parallelism", plain, func(j *batchv1.Job) { j.Spec.Parallelism = new(int32(0)) }, spec),
		Entry("a deadline", plain, func(j *batchv1.Job) { j.Spec.ActiveDeadlineSeconds = new(int64(1)) }, spec),
		Entry("a backoff limit", plain, func(j *batchv1.Job) { j.Spec.BackoffLimit = new(int32(0)) }, spec),
		Entry("a deadline away", func(b *jobtest.JobBuilder) { b.Obj().Spec.ActiveDeadlineSeconds = new(int64(60)) },
			func(j *batchv1.Job) { j.Spec.ActiveDeadlineSeconds = nil }, spec),
		Entry("where pods go, suspended", suspended, func(j *batchv1.Job) {
			j.Spec.Template.Spec.NodeSelector = map[string]string{"a": "b"}
		}, template),
		Entry("another label of the template, suspended", suspended, func(j *batchv1.Job) {
			j.Spec.Template.Labels["queue"] = "x"
		}, template),
		Entry("a label of the template away, suspended", suspended, func(j *batchv1.Job) {
			delete(j.Spec.Template.Labels, "team")
		}, template),
		Entry("an annotation of the template, suspended", suspended, func(j *batchv1.Job) {
			j.Spec.Template.Annotations = map[string]string{api.EnabledAnnotation: api.True}
		}, template),
	)

	It("stamps a bare Job", func(ctx SpecContext) {
		bare := jobtest.MakeJob(newNamespace(ctx), "bare").Suspended().Obj()
		Expect(kube.Create(ctx, bare)).To(Succeed())
		changed := bare.DeepCopy()
		metav1.SetMetaDataLabel(&changed.ObjectMeta, api.EnabledLabel, api.True)
		metav1.SetMetaDataAnnotation(&changed.ObjectMeta, api.ResultsNameAnnotation, "bare-results")
		metav1.SetMetaDataLabel(&changed.Spec.Template.ObjectMeta, api.EnabledLabel, api.True)
		Expect(manager.Patch(ctx, changed, jobpatch.From(bare))).To(Succeed())
	})

	It("takes its finalizer away from a Job that is being deleted", func(ctx SpecContext) {
		object := jobtest.MakeJob(newNamespace(ctx), "protected").Obj()
		object.Finalizers = []string{"job-handler/results"}
		Expect(kube.Create(ctx, object)).To(Succeed())
		Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		changed := object.DeepCopy()
		changed.Finalizers = nil
		Expect(manager.Patch(ctx, changed, jobpatch.From(object))).To(Succeed())
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Satisfy(apierrors.IsNotFound))
	})

	It("is within the cost that the API server allows, for a Job as large as can be", func(ctx SpecContext) {
		builder := jobtest.MakeJob(newNamespace(ctx), "large")
		for i := range 4000 {
			builder.Annotation(fmt.Sprintf("example.com/a-%d", i), strings.Repeat("x", 40)).
				Label(fmt.Sprintf("example.com/l-%d", i), strings.Repeat("x", 40))
		}
		object := builder.Obj()
		for i := range 100 {
			object.Spec.Template.Spec.Containers[0].Env = append(object.Spec.Template.Spec.Containers[0].Env,
				corev1.EnvVar{Name: fmt.Sprintf("E%d", i), Value: strings.Repeat("x", 2000)})
		}
		Expect(kube.Create(ctx, object)).To(Succeed())
		changed := object.DeepCopy()
		changed.Labels[api.EnabledLabel] = api.True
		Expect(manager.Patch(ctx, changed, jobpatch.From(object))).To(Succeed())
	})

	DescribeTable("deletion", func(ctx SpecContext, prepare func(*jobtest.JobBuilder), status batchv1.JobStatus, answer string) {
		builder := jobtest.MakeJob(newNamespace(ctx), "report")
		prepare(builder)
		object := builder.Obj()
		Expect(kube.Create(ctx, object)).To(Succeed())
		object.Status = status
		if len(status.Conditions) == 1 && status.Conditions[0].Type == batchv1.JobSuccessCriteriaMet {
			versions.Need(GinkgoT(), versions.DelayedEnd)
		}
		Expect(kube.Status().Update(ctx, object)).To(Succeed())
		Expect(deleteJob(ctx, manager, object)).To(answerWith(answer))
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(object), object)).To(
			WithTransform(apierrors.IsNotFound, Equal(answer == allowed)))
	},
		Entry("stored, completed", annotated(api.StatusAnnotation, api.StatusCompleted), completed(), allowed),
		Entry("stored, failed", annotated(api.StatusAnnotation, api.StatusFailed), failed(), allowed),
		Entry("stored, failed while suspended", func(b *jobtest.JobBuilder) {
			b.Suspended().Annotation(api.StatusAnnotation, api.StatusFailed)
		}, failed(), allowed),
		Entry("not stored", plain, completed(), onlyStored),
		Entry("not stored, but stamped", annotated(api.ResultsNameAnnotation, "report-results"), completed(), onlyStored),
		Entry("an empty status", annotated(api.StatusAnnotation, ""), completed(), onlyStored),
		Entry("a status that it gave to a Job that has not begun", annotated(api.StatusAnnotation, api.StatusCompleted), batchv1.JobStatus{}, onlyFinished),
		Entry("a status that it gave to a Job that runs", annotated(api.StatusAnnotation, api.StatusCompleted), begun(), onlyFinished),
		Entry("a status that it gave to a Job that will fail", annotated(api.StatusAnnotation, api.StatusFailed),
			begun(when(batchv1.JobFailureTarget, corev1.ConditionTrue)), onlyFinished),
		Entry("a status that it gave to a Job that will complete", annotated(api.StatusAnnotation, api.StatusCompleted),
			begun(when(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue)), onlyFinished),
		Entry("a status that it gave to a Job that somebody says has not completed", annotated(api.StatusAnnotation, api.StatusCompleted),
			begun(when(batchv1.JobComplete, corev1.ConditionFalse)), onlyFinished),
		Entry("a status that it gave to a Job that is suspended", func(b *jobtest.JobBuilder) {
			b.Suspended().Annotation(api.StatusAnnotation, api.StatusCompleted)
		}, batchv1.JobStatus{Conditions: []batchv1.JobCondition{when(batchv1.JobSuspended, corev1.ConditionTrue)}}, onlyFinished),
	)

	It("is nobody else's affair", func(ctx SpecContext) {
		object := jobtest.MakeJob(newNamespace(ctx), "report").Obj()
		Expect(kube.Create(ctx, object)).To(Succeed())
		metav1.SetMetaDataLabel(&object.ObjectMeta, "team", "red")
		object.Spec.Suspend = new(true)
		Expect(kube.Update(ctx, object)).To(Succeed())
		Expect(deleteJob(ctx, kube, object)).To(Succeed())
	})
})

func annotated(key, value string) func(*jobtest.JobBuilder) {
	return func(b *jobtest.JobBuilder) { b.Annotation(key, value) }
}

func deleteJob(ctx context.Context, c client.Client, object *batchv1.Job) error {
	return c.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: &object.UID, ResourceVersion: &object.ResourceVersion})
}

// The states of a Job of one pod.

func begun(conditions ...batchv1.JobCondition) batchv1.JobStatus {
	return batchv1.JobStatus{StartTime: &ended, Conditions: conditions}
}

func completed() batchv1.JobStatus {
	status := begun(ending(batchv1.JobComplete)...)
	status.Succeeded, status.CompletionTime = 1, &ended
	return status
}

func failed() batchv1.JobStatus {
	status := begun(ending(batchv1.JobFailed)...)
	status.Failed = 1
	return status
}

func ending(kind batchv1.JobConditionType) []batchv1.JobCondition {
	var conditions []batchv1.JobCondition
	for _, each := range versions.Ending(kind) {
		conditions = append(conditions, when(each, corev1.ConditionTrue))
	}
	return conditions
}

var ended = metav1.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)

func when(kind batchv1.JobConditionType, status corev1.ConditionStatus) batchv1.JobCondition {
	return batchv1.JobCondition{Type: kind, Status: status, LastTransitionTime: ended}
}
