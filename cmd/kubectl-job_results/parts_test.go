package main

import (
	"context"
	"math/rand/v2"
	"sort"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest/runs"
	"github.com/job-handler/job-handler/internal/results"
)

const mib = api.MaxResultsBytes

// bytesOf returns size bytes that cannot be compressed.
func bytesOf(size int) []byte {
	text := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(text)
	return text
}

// wroteBytes returns a run that wrote log, of which maxBytes may be stored.
func wroteBytes(job string, maxBytes int, log []byte) results.Run {
	pod := runs.MakePod(job+"-a", start).Container("main", 0, log)
	if len(log) > runs.BufferBytes {
		pod.Packed(log)
	}
	run := runs.Of(completed(job, 1), pod)
	run.MaxBytes = maxBytes
	return run
}

// part returns the object of a part of the results in cm.
func part(ctx context.Context, cm *corev1.ConfigMap, number int) *corev1.ConfigMap {
	GinkgoHelper()
	list, err := results.Decode(cm).Parts()
	Expect(err).NotTo(HaveOccurred())
	object := &corev1.ConfigMap{}
	Expect(kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: list.Parts[number].Name}, object)).To(Succeed())
	return object
}

var _ = Describe("Results in parts", func() {
	// largest returns how many bytes of log are the most for which results are as
	// is says.
	largest := func(maxBytes int, is func(*results.Content) bool) int {
		GinkgoHelper()
		return sort.Search(maxBytes+mib, func(size int) bool {
			content, err := results.Build(wroteBytes("edge", maxBytes, bytesOf(size+1)))
			Expect(err).NotTo(HaveOccurred())
			return !is(content)
		})
	}
	inParts := func(n int) func(*results.Content) bool {
		return func(c *results.Content) bool { return len(c.Parts) <= n }
	}
	whole := func(c *results.Content) bool { return c.Capture.Complete }

	DescribeTable("are given back to the byte on both sides of a limit", func(ctx SpecContext, maxBytes int, is func(*results.Content) bool) {
		border := largest(maxBytes, is)
		AddReportEntry("border", border)
		for _, size := range []int{border - 1, border, border + 1} {
			log := bytesOf(size)
			run := wroteBytes("edge", maxBytes, log)
			content, err := results.Build(run)
			Expect(err).NotTo(HaveOccurred())
			Expect(is(content)).To(Equal(size <= border))
			cm, err := storeContent(ctx, run, content)
			Expect(err).NotTo(HaveOccurred())

			got := command(ctx, "logs", "edge", "--raw")
			Expect(kube.DeleteAllOf(ctx, cm, client.InNamespace(namespace), client.HasLabels{api.CreatedLabel})).To(Succeed())
			Expect(got.code).To(BeZero(), got.err)
			if whole(content) {
				same := got.out == string(log)
				Expect(same).To(BeTrue(), "the log is what was written")
				continue
			}
			Expect(got.err).To(ContainSubstring("left out"))
			capture := content.Capture
			Expect(capture.Why).To(ContainSubstring(results.ReasonShortenedToFit))
			Expect(len(got.out)).To(BeNumerically(">", maxBytes*6/10), cm.Name)
		}
	},
		Entry("of logs.gz in the object itself", 4*mib, inParts(0), SpecTimeout(soon*6)),
		Entry("of one part", 4*mib, inParts(1), SpecTimeout(soon*6)),
		Entry("of two parts", 4*mib, inParts(2), SpecTimeout(soon*6)),
		Entry("of one object", mib, whole, SpecTimeout(soon*6)),
		Entry("of what may be stored just above one object", mib+1, whole, SpecTimeout(soon*6)),
		Entry("of what may be stored", 3*mib, whole, SpecTimeout(soon*6)),
		Entry("of what may be stored at most", api.MostResultsBytes, whole, SpecTimeout(soon*6)),
	)

	It("are no results themselves", func(ctx SpecContext) {
		store(ctx, wroteBytes("large", 4*mib, bytesOf(2*mib)))
		Expect(strings.Count(succeed(ctx, "list"), "large-results")).To(Equal(1))
		Expect(succeed(ctx, "list", "-o", "name")).To(Equal("configmap/large-results\n"))
		Expect(succeed(ctx, "__complete", "get", "")).NotTo(ContainSubstring("-part-"))
		Expect(succeed(ctx, "get", "large")).To(ContainSubstring("2.0MiB, complete"))
		Expect(succeed(ctx, "wait", "large", "--timeout=0")).To(ContainSubstring("large-results"))
		var list corev1.ConfigMapList
		Expect(kube.List(ctx, &list, client.InNamespace(namespace), client.HasLabels{api.PartLabel})).To(Succeed())
		Expect(list.Items).NotTo(BeEmpty())
		Expect(fail(ctx, "get", list.Items[0].Name)).To(ContainSubstring("no Job and no results of that name"))
	})

	It("are told from captures of Jobs that go on", func(ctx SpecContext) {
		keeps := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "busy-capture-uid-0",
			Labels: map[string]string{api.CreatedLabel: api.True, api.CaptureOfLabel: "uid", api.JobNameLabel: "busy"},
		}}
		Expect(kube.Create(ctx, keeps)).To(Succeed())
		Expect(succeed(ctx, "list", "-o", "name")).To(BeEmpty())
		Expect(succeed(ctx, "__complete", "get", "")).NotTo(ContainSubstring("busy"))
		for _, name := range []string{"busy", keeps.Name} {
			Expect(fail(ctx, "get", name)).To(ContainSubstring("no Job and no results of that name"))
		}
	})

	// small is before what fills the parts, and large too large for the first.
	run := func() results.Run {
		r := runs.Of(completed("two", 1),
			runs.MakePod("two-a", start).Container("small", 0, []byte("\x1b[1mhello\n")),
			runs.MakePod("two-b", start.Add(1)).Container("large", 1, bytesOf(2*mib)).Packed(bytesOf(2*mib)))
		r.MaxBytes = 4 * mib
		return r
	}

	DescribeTable("say which part is lost, and what can be read", func(ctx SpecContext, why string, lose func(context.Context, *corev1.ConfigMap)) {
		cm := store(ctx, run())
		lost := part(ctx, cm, 1)
		Expect(kube.Delete(ctx, lost)).To(Succeed())
		lose(ctx, lost)
		told := And(ContainSubstring("part 2 of 3 of the logs, "+lost.Name), ContainSubstring(why))

		all := command(ctx, "logs", "two")
		Expect(all.code).To(Equal(exitError))
		Expect(all.out).To(And(ContainSubstring(`\x1b[1mhello`), ContainSubstring("left out here")))
		Expect(all.err).To(And(told, ContainSubstring("1 log of 2 logs to the byte"), ContainSubstring("pod two-a, container small")))

		readable := command(ctx, "logs", "two", "--raw", "-c", "small")
		Expect(readable.out).To(Equal("\x1b[1mhello\n"))
		Expect(readable.code).To(BeZero())
		Expect(readable.err).To(told)

		Expect(fail(ctx, "logs", "two", "--raw", "-c", "large")).To(And(told, ContainSubstring("the log of pod two-b, container large cannot be read")))
		Expect(fail(ctx, "logs", "two", "--raw")).To(told)

		screen := command(ctx, "get", "two")
		Expect(screen.out).To(ContainSubstring("Outcome:"))
		Expect(screen.err).To(told)
	},
		Entry("deleted", "not found", func(context.Context, *corev1.ConfigMap) {}),
		Entry("damaged", "damaged results", func(ctx context.Context, lost *corev1.ConfigMap) {
			lost.UID, lost.ResourceVersion = "", ""
			lost.BinaryData[api.DataLogsGzip][1000]++
			Expect(kube.Create(ctx, lost)).To(Succeed())
		}),
		Entry("another run's", "it is no part of this run", func(ctx context.Context, lost *corev1.ConfigMap) {
			lost.UID, lost.ResourceVersion = "", ""
			lost.Labels[api.JobUIDLabel] = "other"
			Expect(kube.Create(ctx, lost)).To(Succeed())
		}),
	)
})
