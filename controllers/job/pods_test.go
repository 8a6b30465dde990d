package job_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

var _ = Describe("The pods of a run", func() {
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

	DescribeTable("are those that the Job controls, whatever other pods are labelled", func(ctx SpecContext, own func(*corev1.Pod), lists int) {
		object := running(ctx, aJob())
		addPod(ctx, object, named("own"), ended(0), own)
		addPod(ctx, object, named("orphan"), ended(0), func(p *corev1.Pod) { p.OwnerReferences = nil })
		addPod(ctx, object, named("of-another"), ended(0), func(p *corev1.Pod) { p.OwnerReferences[0].UID = "another" })
		addPod(ctx, object, named("not-controlled"), ended(0), func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil })
		addPod(ctx, object, named("earlier-run"), ended(0), func(p *corev1.Pod) {
			p.OwnerReferences[0].UID = types.UID(strings.Repeat("0", len(object.UID)))
		})
		complete(ctx, object, 1)

		h.settle(ctx, object)

		Expect(h.liveLists).To(Equal(lists))
		Expect(recorded(ctx, object)).To(ConsistOf("own"))
		Expect(expectStored(ctx, object).Data[api.DataLogs]).NotTo(ContainSubstring("another"))
		Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeTrue())
	},
		Entry("by the cache", func(*corev1.Pod) {}, 0),
		Entry("by the API server", unlabelled, 1),
	)

	It("are told of in the order in which they were created", func(ctx SpecContext) {
		object := running(ctx, aJob())
		for _, name := range []string{"c", "a", "b"} {
			addPod(ctx, object, named(name), ended(0))
		}
		complete(ctx, object, 3)

		h.settle(ctx, object)

		record := recordOf(expectStored(ctx, object))
		Expect(slices.IsSortedFunc(record.Pods, func(a, b results.PodRecord) int { return strings.Compare(a.CreatedAt, b.CreatedAt) })).To(BeTrue())
		logs := expectStored(ctx, object).Data[api.DataLogs]
		for _, name := range recorded(ctx, object) {
			_, rest, found := strings.Cut(logs, "==> pod "+name+",")
			Expect(found).To(BeTrue())
			logs = rest
		}
	})

	It("come from the cache where it has seen all of them end", func(ctx SpecContext) {
		object := completed(ctx, aJob())

		h.settle(ctx, object)

		Expect(h.liveLists).To(BeZero())
		Expect(recorded(ctx, object)).To(HaveLen(1))
	})

	DescribeTable("are asked of the API server where the cache", func(ctx SpecContext, lacking func(*corev1.Pod)) {
		object := running(ctx, aJob())
		addPod(ctx, object, named("job-0"), ended(0))
		addPod(ctx, object, named("job-1"), ended(0), lacking)
		complete(ctx, object, 2)

		h.settle(ctx, object)

		Expect(h.liveLists).To(Equal(1))
		Expect(recorded(ctx, object)).To(ConsistOf("job-0", "job-1"))
	},
		Entry("lacks one, which admission missed", unlabelled),
		Entry("shows one that still runs", func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }),
	)

	It("are all found if admission missed the Job", func(ctx SpecContext) {
		object := create(ctx, aJob().Label(api.EnabledLabel, api.True).Obj())
		start(ctx, object)
		addPod(ctx, object, named("job-0"), ended(0))
		complete(ctx, object, 1)

		h.settle(ctx, object)

		Expect(recorded(ctx, object)).To(ConsistOf("job-0"))
		expectGone(ctx, object)
	})

	It("that are gone already are counted, and the results do not call themselves complete", func(ctx SpecContext) {
		object := running(ctx, aJob())
		addPod(ctx, object, named("job-0"), ended(0))
		complete(ctx, object, 3)

		h.settle(ctx, object)

		stored := expectStored(ctx, object)
		record := recordOf(stored)
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 3, Seen: 1, Missing: 2}))
		Expect(record.Capture.Complete).To(BeFalse())
		Expect(stored.Data[api.DataLogs]).To(And(ContainSubstring("hello from job-0"), ContainSubstring("2 pods")))
		Expect(outcomesOf(ctx, object)).To(ContainElement(And(
			HaveField("Type", corev1.EventTypeWarning), HaveField("Note", ContainSubstring(results.ReasonPodGone)))))
		expectGone(ctx, object)
	})

	It("that failed on the way count too", func(ctx SpecContext) {
		object := running(ctx, aJob())
		addPod(ctx, object, named("first-try"), ended(1))
		addPod(ctx, object, named("second-try"), ended(0))
		object.Status.Failed = 1
		complete(ctx, object, 1)

		h.settle(ctx, object)

		Expect(recorded(ctx, object)).To(ConsistOf("first-try", "second-try"))
		Expect(recordOf(expectStored(ctx, object)).PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 2}))
	})

	It("are found by a selector that the user wrote", func(ctx SpecContext) {
		builder := aJob().TemplateLabel("batch", "mine")
		object := builder.Obj()
		object.Spec.ManualSelector = new(true)
		object.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"batch": "mine"}}
		object = running(ctx, builder)
		pod := addPod(ctx, object, named("job-0"), ended(0), unlabelled)
		Expect(pod.Labels).NotTo(HaveKey(batchv1.ControllerUidLabel))
		addPod(ctx, object, named("foreign"), ended(0), func(p *corev1.Pod) { p.OwnerReferences = nil })
		complete(ctx, object, 1)

		h.settle(ctx, object)

		Expect(recorded(ctx, object)).To(ConsistOf("job-0"))
		expectGone(ctx, object)
	})

	It("are all found where there are more than fit on a page", func(ctx SpecContext) {
		const many = 510
		object := running(ctx, aJob())
		var group errgroup.Group
		group.SetLimit(16)
		for i := range many {
			pod := &corev1.Pod{
				ObjectMeta: *object.Spec.Template.ObjectMeta.DeepCopy(),
				Spec:       *object.Spec.Template.Spec.DeepCopy(),
			}
			pod.Namespace, pod.Name = namespace, fmt.Sprintf("job-%d", i)
			pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(object, batchv1.SchemeGroupVersion.WithKind("Job"))}
			group.Go(func() error { return kube.Create(ctx, pod) })
		}
		Expect(group.Wait()).To(Succeed())
		complete(ctx, object, many)

		h.settle(ctx, object)

		record := recordOf(expectStored(ctx, object))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: many, Seen: many}))
		Expect(len(record.Pods) + record.Omitted.Pods).To(Equal(many))
		expectGone(ctx, object)
	})
})
