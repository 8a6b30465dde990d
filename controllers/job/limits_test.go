package job_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/names"
)

var _ = Describe("A name at its limit", func() {
	var h *handler

	BeforeEach(func() { h = newHandler() })

	// long is a valid name of this length, with dots where they hurt most.
	long := func(length int) string { return strings.Repeat("a-long.name", 24)[:length-1] + "z" }
	finish := func(ctx context.Context, name string, manual bool) *batchv1.Job {
		GinkgoHelper()
		builder := aJobCalled(name)
		if manual {
			builder = builder.TemplateLabel("batch", "mine")
			object := builder.Obj()
			object.Spec.ManualSelector = new(true)
			object.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"batch": "mine"}}
		}
		object := running(ctx, builder)
		addPod(ctx, object, named("job-0"), ended(0))
		complete(ctx, object, 1)
		return object
	}

	DescribeTable("is no reason to lose results", func(ctx SpecContext, length int, manual bool, stored string) {
		object := finish(ctx, long(length), manual)

		h.settle(ctx, object)

		results := expectStored(ctx, object)
		Expect(results.Name).To(Equal(stored))
		Expect(results.Labels).To(HaveKeyWithValue(api.JobNameLabel, names.LabelValue(object.Name)))
		Expect(results.Data).To(HaveKeyWithValue(api.DataJobName, object.Name))
		Expect(outcomesOf(ctx, object)).To(HaveLen(1))
		expectGone(ctx, object)
	},
		Entry("63 characters, the most with a generated selector", 63, false, long(63)+"-results"),
		Entry("64 characters", 64, true, long(64)+"-results"),
		Entry("244 characters, the last that is not cut", 244, true, long(244)+"-results"),
		Entry("245 characters", 245, true, names.Results(long(245))),
		Entry("253 characters", 253, true, names.Results(long(253))),
	)

	DescribeTable("leaves room for the names that come after it", func(ctx SpecContext, taken int) {
		object := finish(ctx, long(253), true)
		candidates := names.Candidates(names.Results(object.Name), object.UID)
		for _, name := range candidates[:taken] {
			Expect(kube.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})).To(Succeed())
		}

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Name).To(Equal(candidates[taken]))
		expectGone(ctx, object)
	},
		Entry("the second", 1),
		Entry("the third", 2),
	)

	It("of two Jobs that start alike gives each its own results", func(ctx SpecContext) {
		first, second := long(252)+"a", long(252)+"b"
		one, two := finish(ctx, first, true), func() *batchv1.Job {
			builder := aJobCalled(second).TemplateLabel("batch", "other")
			object := builder.Obj()
			object.Spec.ManualSelector = new(true)
			object.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"batch": "other"}}
			object = running(ctx, builder)
			complete(ctx, object, 0)
			return object
		}()

		h.settle(ctx, one)
		h.settle(ctx, two)

		Expect(expectStored(ctx, one).Name).NotTo(Equal(expectStored(ctx, two).Name))
		Expect(warningsOf(ctx, two)).To(BeEmpty())
	})

	It("of a CronJob is told whole or shortened", func(ctx SpecContext) {
		cronJob := jobtest.MakeCronJob(namespace, long(52)).Obj()
		Expect(kube.Create(ctx, cronJob)).To(Succeed())
		object := failed(ctx, aJobCalled(long(52)+"-29401234").OwnedBy("batch/v1", "CronJob", cronJob.Name, cronJob.UID))

		h.settle(ctx, object)

		Expect(expectStored(ctx, object).Labels).To(HaveKeyWithValue(api.CronJobLabel, cronJob.Name))
	})

	It("with dots is a name like any other", func(ctx SpecContext) {
		object := finish(ctx, "etl.v1.2", false)
		h.settle(ctx, object)
		Expect(expectStored(ctx, object).Name).To(Equal("etl.v1.2-results"))
	})

	It("of a wish is taken to the letter", func(ctx SpecContext) {
		wish := long(245) + "-results"
		object := completed(ctx, aJob().Annotation(api.ResultsNameAnnotation, wish))
		h.settle(ctx, object)
		Expect(expectStored(ctx, object).Name).To(Equal(wish))
	})
})
