package job_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/jobtest/suite"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/names"
)

// jobKeys are all annotations of a Job that mean something.
var jobKeys = []string{
	api.EnabledAnnotation, api.ResultsNameAnnotation, api.LogModeAnnotation, api.ResultsKindAnnotation,
	api.ResultsTTLAnnotation, api.DeleteAfterSuccessAnnotation, api.DeleteAfterFailureAnnotation,
	api.PropagateLabelsAnnotation, api.StatusAnnotation, api.CaptureAnnotation, api.TTLAnnotation,
}

// malformed is invalid under every key that has a rule.
var malformed = map[string]string{
	"blank":                         " ",
	"a word in capitals":            "TRUE",
	"with a blank behind":           "true ",
	"a negative duration":           "-1s",
	"a duration that overflows":     "99999999999999999999w",
	"a fraction":                    "1.5h",
	"no number":                     "NaN",
	"wide letters":                  "\uff4e\uff45\uff56\uff45\uff52",
	"letters of another alphabet":   "n\u0435ver",
	"digits of another alphabet":    "\u0661\u0662s",
	"control characters":            "\x1b[2J\x1b]0;owned\a\r\x00",
	"text in another direction":     "\u202edetelpmoc",
	"a path":                        "../../kube-system/x-results",
	"200 KiB":                       strings.Repeat("x", 200<<10),
	"JSON of another type":          `["true"]`,
	"a list of empty words":         ",,,",
	"a name that is not for anyone": "kube-root-ca.crt",
}

var _ = Describe("A Job that admission did not see", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	// expectReadable expects that no Event of the Job steers a terminal.
	expectReadable := func(ctx context.Context, object *batchv1.Job) {
		GinkgoHelper()
		for _, event := range rawEventsOf(ctx, object) {
			Expect(logtext.Line(event.Note, 4<<10)).To(Equal(event.Note))
		}
	}

	for _, what := range slices.Sorted(maps.Keys(malformed)) {
		It("is handled by the defaults where an annotation is "+what, func(ctx SpecContext) {
			neighbour := completed(ctx, aJobCalled("neighbour"))
			var jobs []*batchv1.Job
			for i, key := range jobKeys {
				object := running(ctx, aJobCalled(fmt.Sprintf("job-%d", i)))
				object = annotate(ctx, object, key, malformed[what])
				addPod(ctx, object, ended(0))
				complete(ctx, object, 1)
				jobs = append(jobs, object)
			}

			for i, object := range jobs {
				h.settle(ctx, object)

				Expect(expectStored(ctx, object).Name).To(Equal(names.Results(object.Name)), jobKeys[i])
				expectGone(ctx, object)
				Expect(outcomesOf(ctx, object)).To(HaveLen(1), jobKeys[i])
				expectReadable(ctx, object)
			}
			told := map[string]string{}
			for i, object := range jobs {
				told[jobKeys[i]] = strings.Join(warningsOf(ctx, object), "\n")
			}
			for _, key := range jobKeys[1:8] {
				if key == api.PropagateLabelsAnnotation && what == "blank" {
					continue
				}
				Expect(told[key]).To(And(ContainSubstring("defaults used"), ContainSubstring("["+key+"]")))
			}
			h.settle(ctx, neighbour)
			expectGone(ctx, neighbour)
			expectStored(ctx, neighbour)
		}, SpecTimeout(specTimeout))
	}

	It("is stored and kept, with a Warning, where its annotations leave no room", func(ctx SpecContext) {
		const most = 256 << 10
		object := running(ctx, aJob())
		object = change(ctx, object, func(j *batchv1.Job) {
			size := 0
			for key, value := range j.Annotations {
				size += len(key) + len(value)
			}
			metav1.SetMetaDataAnnotation(&j.ObjectMeta, "filler", strings.Repeat("x", most-size-len("filler")))
		})
		addPod(ctx, object, ended(0))
		complete(ctx, object, 1)
		neighbour := completed(ctx, aJobCalled("neighbour"))

		for range 5 {
			Expect(h.reconcile(ctx, object).RequeueAfter).To(beSlow)
			h.step(longestWait)
		}

		expectStored(ctx, object)
		Expect(read(ctx, object).ResourceVersion).To(Equal(object.ResourceVersion))
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("metadata.annotations: Too long")))
		h.settle(ctx, neighbour)
		expectGone(ctx, neighbour)

		By("removing what fills it")
		change(ctx, object, func(j *batchv1.Job) { delete(j.Annotations, "filler") })
		h.settle(ctx, object)
		expectStored(ctx, object)
		expectGone(ctx, object)
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
	})

	It("is left alone while it runs where its annotations leave no room for a stamp", func(ctx SpecContext) {
		builder := aJob().TTL(5).Label(api.EnabledLabel, api.True).Annotation("filler", strings.Repeat("x", 256<<10-len("filler")))
		object := create(ctx, builder.Obj())
		start(ctx, object)

		Expect(h.reconcile(ctx, object).RequeueAfter).To(Equal(recheckInterval))

		Expect(h.written()).To(BeEmpty())
		Expect(warningsOf(ctx, object)).To(BeEmpty())
	})
})

const longestWait = 4 * time.Minute

var _ = Describe("What the annotations of a Namespace say", func() {
	It("has no effect where it is malformed, and what is set on the Job alone has none there", func(ctx SpecContext) {
		h := newHandler()
		object := &corev1.Namespace{}
		Expect(kube.Get(ctx, client.ObjectKey{Name: namespace}, object)).To(Succeed())
		from := object.DeepCopy()
		for _, key := range jobKeys[1:] {
			metav1.SetMetaDataAnnotation(&object.ObjectMeta, key, malformed["control characters"])
		}
		object.Annotations[api.ResultsNameAnnotation] = "shared-results"
		object.Annotations[api.StatusAnnotation] = api.StatusCompleted
		Expect(kube.Patch(ctx, object, client.MergeFrom(from))).To(Succeed())
		first, second := completed(ctx, aJobCalled("first")), failed(ctx, aJobCalled("second"))

		h.settle(ctx, first)
		h.settle(ctx, second)

		Expect(expectStored(ctx, first).Name).To(Equal("first-results"))
		Expect(expectStored(ctx, second).Name).To(Equal("second-results"))
		expectGone(ctx, first)
		Expect(read(ctx, second).DeletionTimestamp).To(BeNil())
	})
})

var _ = Describe("A name that a Job wishes for its results", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	DescribeTable("is not used, and nothing of that name touched, where it is", func(ctx SpecContext, wish string) {
		elsewhere := suite.NewNamespace(ctx, kube, suite.Namespace())
		var foreign []*corev1.ConfigMap
		for _, name := range []string{"kube-root-ca.crt", "report", "x-results"} {
			for _, in := range []string{namespace, elsewhere} {
				cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: name}, Data: map[string]string{"mine": "yes"}}
				Expect(kube.Create(ctx, cm)).To(Succeed())
				foreign = append(foreign, cm)
			}
		}
		object := completed(ctx, aJob().Annotation(api.ResultsNameAnnotation, strings.ReplaceAll(wish, "<other>", elsewhere)))

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Name).To(Equal("job-results"))
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("metadata.annotations[" + api.ResultsNameAnnotation + "]")))
		expectGone(ctx, object)
		for _, cm := range foreign {
			now := &corev1.ConfigMap{}
			Expect(kube.Get(ctx, client.ObjectKeyFromObject(cm), now)).To(Succeed())
			Expect(now.ResourceVersion).To(Equal(cm.ResourceVersion))
		}
		var others corev1.ConfigMapList
		Expect(kube.List(ctx, &others, client.InNamespace(elsewhere))).To(Succeed())
		Expect(others.Items).To(HaveLen(3))
	},
		Entry("in another namespace", "<other>/x-results"),
		Entry("in another namespace, escaped", "<other>%2Fx-results"),
		Entry("a path", "../<other>/configmaps/x-results"),
		Entry("a query", "x-results?force=true&x=-results"),
		Entry("Kubernetes' own", "kube-root-ca.crt"),
		Entry("without the suffix", "report"),
		Entry("the suffix alone", "-results"),
		Entry("too long", strings.Repeat("a", 246)+"-results"),
		Entry("in capitals", "X-results"),
		Entry("with a suffix in capitals", "x-RESULTS"),
		Entry("in letters that look alike", "\u0445-results"),
		Entry("with a NUL", "x\x00-results"),
		Entry("empty", ""),
	)

	It("that Kubernetes' own object has, with the suffix, is one of its own", func(ctx SpecContext) {
		object := completed(ctx, aJob().Annotation(api.ResultsNameAnnotation, "kube-root-ca.crt-results"))
		h.settle(ctx, object)
		Expect(expectStored(ctx, object).Name).To(Equal("kube-root-ca.crt-results"))
	})

	It("that points at somebody else's object, with a forged status, gives away nothing of it", func(ctx SpecContext) {
		const private = "s3cr3t-of-somebody-else"
		cm := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "database-results", Annotations: map[string]string{private: private}},
			Data:       map[string]string{private: private},
		}
		Expect(kube.Create(ctx, cm)).To(Succeed())
		object := completed(ctx, aJob())
		change(ctx, object, func(j *batchv1.Job) {
			metav1.SetMetaDataAnnotation(&j.ObjectMeta, api.StatusAnnotation, api.StatusCompleted)
			metav1.SetMetaDataAnnotation(&j.ObjectMeta, api.ResultsNameAnnotation, cm.Name)
		})

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		Expect(fmt.Sprint(stored.Data, stored.Annotations, warningsOf(ctx, object))).NotTo(ContainSubstring(private))
		Expect(configMap(ctx, cm.Name).ResourceVersion).To(Equal(cm.ResourceVersion))
		expectGone(ctx, object)
	})
})

var _ = Describe("Selectors and owners that lie", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	recorded := func(ctx context.Context, object *batchv1.Job) []string {
		GinkgoHelper()
		var pods []string
		for _, pod := range recordOf(expectStored(ctx, object)).Pods {
			pods = append(pods, pod.Name)
		}
		return pods
	}
	manual := func(name string, selector *metav1.LabelSelector) *jobtest.JobBuilder {
		builder := aJobCalled(name).ManualSelector("app", "shared")
		builder.Obj().Spec.Selector = selector
		return builder
	}
	shared := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shared"}}

	DescribeTable("give each of two Jobs its own pods, and other pods to nobody", func(ctx SpecContext, selector *metav1.LabelSelector, own func(*corev1.Pod)) {
		var jobs []*batchv1.Job
		for _, name := range []string{"one", "two"} {
			object := running(ctx, manual(name, selector))
			jobs = append(jobs, object)
		}
		addPod(ctx, jobs[0], named("pod-of-one"), ended(0), own)
		addPod(ctx, jobs[1], named("pod-of-two"), ended(0), own)
		foreign := addPod(ctx, jobs[0], named("foreign"), ended(0), func(p *corev1.Pod) { p.OwnerReferences = nil })
		deployed := addPod(ctx, jobs[0], named("deployed"), ended(0), func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "0b5ee9b1-0000-0000-0000-000000000001", Controller: new(true),
			}}
		})
		for _, object := range jobs {
			complete(ctx, object, 1)
			h.settle(ctx, object)
			expectGone(ctx, object)
		}

		Expect(recorded(ctx, jobs[0])).To(ConsistOf("pod-of-one"))
		Expect(recorded(ctx, jobs[1])).To(ConsistOf("pod-of-two"))
		for _, pod := range []*corev1.Pod{foreign, deployed} {
			now := &corev1.Pod{}
			Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), now)).To(Succeed())
			Expect(now.ResourceVersion).To(Equal(pod.ResourceVersion))
		}
	},
		Entry("the same selector", shared, func(*corev1.Pod) {}),
		Entry("the same selector, pods that admission missed", shared, unlabelled),
		Entry("every pod that has the label", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "app", Operator: metav1.LabelSelectorOpExists},
		}}, unlabelled),
		Entry("every pod that lacks a label", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "nobody-has-it", Operator: metav1.LabelSelectorOpDoesNotExist},
		}}, unlabelled),
	)

	It("do not make a Job of the pod's that names it, and has another controller", func(ctx SpecContext) {
		object := running(ctx, aJob())
		addPod(ctx, object, named("own"), ended(0))
		addPod(ctx, object, named("two-owners"), ended(0), func(p *corev1.Pod) {
			p.OwnerReferences[0].Controller = nil
			p.OwnerReferences = append(p.OwnerReferences, metav1.OwnerReference{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "0b5ee9b1-0000-0000-0000-000000000001", Controller: new(true),
			})
		})
		complete(ctx, object, 1)

		h.settle(ctx, object)

		Expect(recorded(ctx, object)).To(ConsistOf("own"))
	})

	DescribeTable("do not have a Job deleted that says it is owned", func(ctx SpecContext, apiVersion, kind, name string) {
		object := completed(ctx, aJob().OwnedBy(apiVersion, kind, name, "0b5ee9b1-0000-0000-0000-000000000000"))
		h.settle(ctx, object)
		expectStored(ctx, object)
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
	},
		Entry("by a Job of another run", "batch/v1", "Job", "job"),
		Entry("by a CronJob of an old version", "batch/v1beta1", "CronJob", "nightly"),
		Entry("by a CronJob of another group", "batch.example.com/v1", "CronJob", "nightly"),
		Entry("by a kind in other letters", "batch/v1", "cronjob", "nightly"),
		Entry("by a kind that there is not", "v1", "\u0421ronJob", "nightly"),
	)

	It("touch no CronJob, and ask for it ever more rarely, where a Job only says that it made it", func(ctx SpecContext) {
		cronJob := jobtest.MakeCronJob(namespace, "nightly").Obj()
		Expect(kube.Create(ctx, cronJob)).To(Succeed())
		object := completed(ctx, aJob().OwnedBy("batch/v1", "CronJob", cronJob.Name, cronJob.UID))
		var waited []time.Duration
		for range 60 {
			result := h.reconcile(ctx, object)
			Expect(result.RequeueAfter).NotTo(BeZero())
			waited = append(waited, result.RequeueAfter)
			h.step(result.RequeueAfter)
		}

		Expect(waited[0]).To(BeNumerically("<=", 5*time.Second))
		Expect(waited[len(waited)-1]).To(Equal(time.Minute))
		Expect(slices.IsSorted(waited)).To(BeTrue())
		expectStored(ctx, object)
		Expect(read(ctx, object).DeletionTimestamp).To(BeNil())
		now := &batchv1.CronJob{}
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(cronJob), now)).To(Succeed())
		Expect(now.ResourceVersion).To(Equal(cronJob.ResourceVersion))
	})

	It("do not have one Job stored as another that has its name and says its UID", func(ctx SpecContext) {
		victim := completed(ctx, aJobCalled("victim").Annotation(api.DeleteAfterSuccessAnnotation, api.Never))
		object := running(ctx, aJob().Label(batchv1.ControllerUidLabel, string(victim.UID)).Label(api.JobUIDLabel, string(victim.UID)).
			Annotation(api.JobUIDLabel, string(victim.UID)))
		addPod(ctx, object, named("own"), ended(0), func(p *corev1.Pod) { p.Labels[batchv1.ControllerUidLabel] = string(victim.UID) })
		complete(ctx, object, 1)

		h.settle(ctx, object)
		h.settle(ctx, victim)

		Expect(expectStored(ctx, object).Labels).To(HaveKeyWithValue(api.JobUIDLabel, string(object.UID)))
		Expect(recorded(ctx, victim)).NotTo(ContainElement("own"))
		Expect(types.UID(expectStored(ctx, victim).Labels[api.JobUIDLabel])).To(Equal(victim.UID))
	})
})

// containersBomb returns some 8 KiB that would be GiBs of containers of a pod of the Job.
func containersBomb(job types.UID) []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	fmt.Fprintf(writer, `{"pod":{"metadata":{"uid":"x","ownerReferences":[{"kind":"Job","uid":"%s","controller":true}]},"spec":{"containers":[{}`, job)
	_, err := io.WriteString(writer, strings.Repeat(",{}", 2<<20)+`]}}}`)
	Expect(err).NotTo(HaveOccurred())
	Expect(writer.Close()).To(Succeed())
	return packed.Bytes()
}
