package job_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/capture"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
)

const (
	// spillAfter is how long after a pod's end it is stored beside its Job.
	spillAfter = 5 * time.Second
	// manyLines is a log of which all lines are to be found again.
	manyLines = 2000
)

func linesOf(of string) string {
	var text strings.Builder
	for i := range manyLines {
		fmt.Fprintf(&text, "%s %07d\n", of, i)
	}
	return text.String()
}

// long is a log of some 500 KiB, of which not much is left when it is compressed.
var long = strings.Repeat(linesOf("long"), 20)

var _ = Describe("Captures of a Job that goes on", func() {
	var (
		h         *handler
		screen    *console
		following context.Context
	)

	BeforeEach(func(ctx SpecContext) {
		h = newHandler()
		screen, _ = newConsole(capture.Options{})
		h.PodLogs.Captures = capturesAt(screen, h.clock, 0)
		var cancel context.CancelFunc
		following, cancel = context.WithCancel(context.WithoutCancel(ctx))
		DeferCleanup(func() {
			cancel()
			h.PodLogs.Captures.Stop()
			Expect(screen.streams()).To(BeZero())
		})
	})

	// captured has a pod of the Job be deleted, write this, end and be gone.
	captured := func(ctx SpecContext, object *batchv1.Job, name, text string) {
		GinkgoHelper()
		pod := addPod(ctx, object, named(name), atWork)
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(30))).To(Succeed())
		Expect(kube.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		screen.write(name, text)
		screen.end(name)
		h.PodLogs.Captures.Begin(following, object.UID, pod.DeepCopy(), true)
		Eventually(func() bool { return h.PodLogs.Captures.Following(object.UID) }).Should(BeFalse())
		Expect(kube.Delete(ctx, pod, client.GracePeriodSeconds(0))).To(Succeed())
		terminate(pod, 143)
		h.PodLogs.Captures.Gone(object.UID, pod)
	}
	// due lets as much time pass as it takes until what was captured is due.
	due := func() { h.step(time.Minute) }
	// restart has another process take over, which has captured nothing.
	restart := func() {
		h = h.restarted()
		h.PodLogs.Captures = capturesAt(screen, h.clock, 0)
	}
	// finish has the Job's last pod end well, after so many that failed.
	finish := func(ctx SpecContext, object *batchv1.Job, failed int32) results.Record {
		GinkgoHelper()
		addPod(ctx, object, named("last"), ended(0))
		now := read(ctx, object)
		now.Status.Failed = failed
		complete(ctx, now, 1)
		h.settle(ctx, object)
		return recordOf(expectStored(ctx, object))
	}
	name := func(object *batchv1.Job, number int) string { return names.Capture(object.Name, object.UID, number) }

	It("are stored beside it five seconds after a pod's end, and are its results' when another process has taken over", func(ctx SpecContext) {
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		Expect(h.save(ctx)).To(BeNumerically("~", spillAfter, 2*time.Second))
		Expect(h.written()).To(BeEmpty())

		due()
		h.save(ctx)

		Expect(capturesIn(ctx)).To(HaveLen(1))
		stored := configMap(ctx, name(object, 0))
		Expect(stored.Immutable).To(HaveValue(BeTrue()))
		Expect(stored.Labels).To(Equal(map[string]string{
			api.CreatedLabel: api.True, api.CaptureOfLabel: string(object.UID), api.JobNameLabel: "job",
		}))
		Expect(stored.OwnerReferences).To(HaveExactElements(metav1.OwnerReference{
			APIVersion: "batch/v1", Kind: "Job", Name: "job", UID: object.UID,
		}))
		Expect(stored.Data).To(BeEmpty())
		Expect(results.Decode(stored).Verify(object, nil)).To(MatchError(results.ErrStranger))
		h.forgetWrites()
		h.step(time.Hour)
		Expect(h.save(ctx)).To(BeZero())
		Expect(h.written()).To(BeEmpty(), "it is stored once")

		restart()
		record := finish(ctx, object, 1)

		Expect(record.Capture).To(Equal(results.RunCapture{Complete: true}))
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 1, Seen: 2}))
		Expect(record.Pods[0].Name).To(Equal("first"))
		Expect(record.Pods[0].Containers[0].State.ExitCode).To(HaveValue(BeEquivalentTo(143)))
		logs := onlyResults(ctx).Data[api.DataLogs]
		Expect(logs).To(ContainSubstring("\n" + linesOf("first")))
		Expect(strings.Index(logs, "first 0000001")).To(BeNumerically("<", strings.Index(logs, "hello from last")))
		Expect(warningsOf(ctx, object)).To(BeEmpty())
	})

	DescribeTable("are due by the clock of the machine, though that of the API server says otherwise:", func(ctx SpecContext, fast time.Duration) {
		machine := clocktesting.NewFakePassiveClock(h.clock.Now().Add(fast))
		h.PodLogs.Captures = capturesAt(screen, machine, 0)
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		Expect(h.save(ctx)).To(Equal(spillAfter))

		h.step(spillAfter)
		machine.SetTime(machine.Now().Add(spillAfter))
		h.save(ctx)

		Expect(capturesIn(ctx)).To(HaveLen(1))
	},
		Entry("an hour less", time.Hour),
		Entry("an hour more", -time.Hour),
	)

	It("are lost, and counted, with a process that ends before", func(ctx SpecContext) {
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		restart()

		record := finish(ctx, object, 1)

		Expect(record.PodCounts.Missing).To(Equal(1))
		Expect(record.Capture.Why).To(ContainSubstring(results.ReasonPodGone))
	})

	It("of pods that the status does not count, as of one that was suspended, are found too", func(ctx SpecContext) {
		object := running(ctx, aJob())
		for i := range 50 {
			captured(ctx, object, fmt.Sprintf("pod-%d", i), linesOf(fmt.Sprintf("pod-%d", i)))
		}
		due()
		h.save(ctx)
		Expect(h.written()).To(HaveExactElements(createResults), "one object has all of them")
		restart()

		record := finish(ctx, object, 0)

		Expect(record.PodCounts.Seen).To(Equal(51))
		Expect(record.Capture.Complete).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("are stored at once while memory runs short, before any is cut", func(ctx SpecContext) {
		h.PodLogs.Captures = capturesAt(screen, h.clock, 32<<20)
		object := running(ctx, aJob())
		for i := range 14 {
			captured(ctx, object, fmt.Sprintf("pod-%d", i), long)
			// The clock is behind that of the captures.
			h.step(2 * time.Second)
			h.save(ctx)
		}

		Expect(capturesIn(ctx)).NotTo(BeEmpty())
		Expect(h.PodLogs.Captures.Stats().Cut).To(BeZero())
		Expect(h.PodLogs.Captures.OnlyStored(object.UID)).To(BeTrue())
		record := finish(ctx, object, 14)
		Expect(record.PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 14, Seen: 15}))
		for _, pod := range record.Pods {
			if pod.Name == "last" {
				continue
			}
			Expect(pod.Containers[0].Capture.BytesSeen).To(BeEquivalentTo(len(long)))
			Expect(pod.Containers[0].Capture.Reason).NotTo(Equal(results.ReasonCaptureLost))
		}
	}, SpecTimeout(specTimeout))

	It("are many objects of which none is too large, and of which there is an end", func(ctx SpecContext) {
		object := running(ctx, aJob())
		for i := range 12 {
			captured(ctx, object, fmt.Sprintf("pod-%d", i), noise(1<<20))
		}
		for range 10 {
			due()
			h.save(ctx)
		}
		stored := 0
		for _, cm := range capturesIn(ctx) {
			size := 0
			for _, value := range cm.BinaryData {
				size += len(value)
			}
			Expect(size).To(BeNumerically("<=", api.MaxResultsBytes))
			stored += size
		}
		Expect(len(capturesIn(ctx))).To(BeNumerically(">", 3))
		Expect(stored).To(And(BeNumerically(">", 3*api.MaxResultsBytes), BeNumerically("<=", 4*api.MaxResultsBytes)))
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("no more of its deleted pods can be saved")))
		Expect(finish(ctx, object, 12).PodCounts).To(Equal(results.PodCounts{Succeeded: 1, Failed: 12, Seen: 13}))
	}, SpecTimeout(specTimeout))

	It("are in a Secret where results are to be in one, and nowhere else", func(ctx SpecContext) {
		inSecrets(ctx)
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		due()
		h.save(ctx)

		Expect(created(ctx)).To(BeEmpty())
		stored := secret(ctx, name(object, 0))
		Expect(stored.Type).To(BeEquivalentTo(api.SecretType))
		Expect(stored.OwnerReferences).To(HaveLen(1))
		restart()
		addPod(ctx, object, named("last"), ended(0))
		object = read(ctx, object)
		object.Status.Failed = 1
		complete(ctx, object, 1)
		h.settle(ctx, object)
		Expect(string(secret(ctx, "job-results").Data[api.DataLogs])).To(ContainSubstring(linesOf("first")))
		Expect(created(ctx)).To(BeEmpty())
	})

	It("are found where they were when results are to be in a Secret since then", func(ctx SpecContext) {
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		due()
		h.save(ctx)
		inSecrets(ctx)
		restart()
		object = read(ctx, object)
		fail(ctx, object, 1)
		h.settle(ctx, object)
		Expect(string(secret(ctx, "job-results").Data[api.DataLogs])).To(ContainSubstring(linesOf("first")))
	})

	DescribeTable("are not stored where nobody wants them:", func(ctx SpecContext, change func(context.Context, *batchv1.Job)) {
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		change(ctx, object)
		due()
		h.save(ctx)
		h.saveAll(ctx)
		Expect(created(ctx)).To(BeEmpty())
		Expect(h.PodLogs.Captures.Pods(object.UID)).To(BeEmpty())
	},
		Entry("the Job is deleted", func(ctx context.Context, object *batchv1.Job) {
			Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		}),
		Entry("the Job is about to go", func(ctx context.Context, object *batchv1.Job) {
			change(ctx, object, func(j *batchv1.Job) { j.Finalizers = []string{"example.com/somebody-else"} })
			Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		}),
		Entry("it has opted out", func(ctx context.Context, object *batchv1.Job) {
			change(ctx, object, func(j *batchv1.Job) { j.Labels[api.EnabledLabel] = api.False })
		}),
		Entry("it is another Job by now", func(ctx context.Context, object *batchv1.Job) {
			Expect(kube.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
			running(ctx, aJob())
		}),
	)

	It("are told once to be in memory only while a quota refuses them, and stored when it is lifted", func(ctx SpecContext) {
		lift := forbidConfigMaps(ctx)
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		due()
		for range 20 {
			Expect(h.save(ctx)).To(beSlow)
			h.step(time.Minute)
		}
		Expect(len(h.written())).To(BeNumerically("<", 15), "it is tried every few minutes only")
		Expect(warningsOf(ctx, object)).To(ConsistOf(And(
			ContainSubstring("in the manager's memory only"), ContainSubstring("exceeded quota"))))
		Expect(h.PodLogs.Captures.Pods(object.UID)).To(HaveLen(1))
		other := running(ctx, aJobCalled("other"))
		Expect(h.reconcile(ctx, other).RequeueAfter).To(Equal(recheckInterval), "nothing else is held up")

		lift()
		h.step(5 * time.Minute)
		h.save(ctx)
		Expect(capturesIn(ctx)).To(HaveLen(1))
	}, SpecTimeout(specTimeout))

	DescribeTable("are stored in the end, once, in spite of", func(ctx SpecContext, prepare func(*handler)) {
		object := running(ctx, aJob())
		captured(ctx, object, "first", noise(900<<10))
		prepare(h)
		due()
		for range 10 {
			next := h.save(ctx)
			if next == 0 {
				break
			}
			Expect(next).To(BeNumerically("<=", 20*time.Second))
			h.step(next)
		}
		Expect(capturesIn(ctx)).To(HaveLen(1))
		Expect(warningsOf(ctx, object)).To(BeEmpty())
		restart()
		Expect(finish(ctx, object, 1).Pods[0].Containers[0].Capture.BytesSeen).To(BeEquivalentTo(900 << 10))
	},
		Entry("an API server that is busy", func(h *handler) {
			times := 0
			h.before = func(context.Context, write) error {
				if times++; times < 4 {
					return apierrors.NewServerTimeout(corev1.Resource("configmaps"), "create", 1)
				}
				return nil
			}
		}),
		Entry("an answer that is lost", func(h *handler) {
			times := 0
			h.after = func(context.Context, write) error {
				if times++; times == 1 {
					return errors.New("connection reset by peer")
				}
				return nil
			}
		}),
		Entry("a limit on their size", func(h *handler) {
			h.before = func(_ context.Context, w write) error {
				if cm, ok := w.object.(*corev1.ConfigMap); ok && len(cm.BinaryData["logs.gz"]) > 300<<10 {
					return apierrors.NewGenericServerResponse(http.StatusRequestEntityTooLarge, "create", corev1.Resource("configmaps"), cm.Name, "too large", 0, true)
				}
				return nil
			}
		}),
	)

	It("do not take what is somebody else's for theirs, nor its name", func(ctx SpecContext) {
		object := running(ctx, aJob())
		theirs := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name(object, 0)}, Data: map[string]string{"mine": "!"},
		}
		Expect(kube.Create(ctx, theirs)).To(Succeed())
		captured(ctx, object, "first", linesOf("first"))
		due()
		h.save(ctx)
		configMap(ctx, name(object, 1))
		restart()

		record := finish(ctx, object, 1)

		Expect(record.Capture.Complete).To(BeTrue())
		Expect(warningsOf(ctx, object)).To(ConsistOf(And(ContainSubstring(theirs.Name), ContainSubstring("is ignored"))))
		Expect(configMap(ctx, theirs.Name).Data).To(Equal(theirs.Data))
	})

	It("do not take for theirs what only has their digest", func(ctx SpecContext) {
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		h.before = func(ctx context.Context, w write) error {
			h.before = nil
			another := w.object.DeepCopyObject().(*corev1.ConfigMap)
			another.Labels[api.CaptureOfLabel] = "another"
			return kube.Create(ctx, another)
		}
		due()
		h.save(ctx)
		Expect(configMap(ctx, name(object, 1)).Labels).To(HaveKeyWithValue(api.CaptureOfLabel, string(object.UID)))
		restart()

		Expect(finish(ctx, object, 1).Capture.Complete).To(BeTrue())
	})

	It("are told to be in memory only where the API server makes something else of them", func(ctx SpecContext) {
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		h.after = func(_ context.Context, w write) error {
			if cm, is := w.object.(*corev1.ConfigMap); is {
				cm.BinaryData = nil
			}
			return nil
		}
		due()
		h.save(ctx)
		Expect(warningsOf(ctx, object)).To(ConsistOf(ContainSubstring("are in the manager's memory only")))
	})

	DescribeTable("are not taken where they are not as they were written:", func(ctx SpecContext, forge func(*corev1.ConfigMap)) {
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		due()
		h.save(ctx)
		stored := configMap(ctx, name(object, 0))
		Expect(kube.Delete(ctx, stored)).To(Succeed())
		stored.ResourceVersion, stored.UID = "", ""
		forge(stored)
		Expect(kube.Create(ctx, stored)).To(Succeed())
		restart()

		record := finish(ctx, object, 1)

		Expect(record.PodCounts.Missing).To(Equal(1))
		Expect(onlyResults(ctx).Data[api.DataLogs]).NotTo(ContainSubstring("first 0"))
		Expect(warningsOf(ctx, object)).To(ContainElement(ContainSubstring("does not hold logs of deleted pods")))
	},
		Entry("mutable", func(cm *corev1.ConfigMap) { cm.Immutable = nil }),
		Entry("not labelled", func(cm *corev1.ConfigMap) { delete(cm.Labels, api.CreatedLabel) }),
		Entry("for another Job", func(cm *corev1.ConfigMap) { cm.Labels[api.CaptureOfLabel] = "another" }),
		Entry("nobody's", func(cm *corev1.ConfigMap) { cm.OwnerReferences = nil }),
		Entry("another Job's", func(cm *corev1.ConfigMap) { cm.OwnerReferences[0].UID = "another" }),
		Entry("changed", func(cm *corev1.ConfigMap) { cm.BinaryData["logs.gz"][100] ^= 1 }),
		Entry("whole, with another digest", func(cm *corev1.ConfigMap) { cm.Annotations[api.SHA256Annotation] = results.Digest(nil, nil) }),
		Entry("changed, with a digest of that", func(cm *corev1.ConfigMap) {
			cm.BinaryData["logs.gz"][100] ^= 1
			cm.Annotations[api.SHA256Annotation] = results.Digest(nil, cm.BinaryData)
		}),
		Entry("made to fill memory", func(cm *corev1.ConfigMap) {
			cm.BinaryData = map[string][]byte{capture.PodsKey: containersBomb(cm.OwnerReferences[0].UID)}
			cm.Annotations[api.SHA256Annotation] = results.Digest(nil, cm.BinaryData)
		}),
		Entry("empty", func(cm *corev1.ConfigMap) {
			cm.BinaryData = nil
			cm.Annotations[api.SHA256Annotation] = results.Digest(nil, nil)
		}),
	)

	It("are named as lost where they are gone from memory, and what was stored is too", func(ctx SpecContext) {
		// Well more than there is memory for.
		const pods = 20
		h.PodLogs.Captures = capturesAt(screen, h.clock, 24<<20)
		object := running(ctx, aJob())
		for i := range pods {
			captured(ctx, object, fmt.Sprintf("pod-%d", i), long)
			// The clock is behind that of the captures.
			h.step(2 * time.Second)
			h.save(ctx)
		}
		first := configMap(ctx, name(object, 0))
		Expect(kube.Delete(ctx, first)).To(Succeed())

		record := finish(ctx, object, pods)

		Expect(record.PodCounts.Seen).To(Equal(pods + 1))
		Expect(record.Capture.Why).To(ContainSubstring(results.ReasonCaptureLost))
		Expect(lostIn(record)).To(BeNumerically("<=", podsIn(first)), "those in other objects are not lost")
	}, SpecTimeout(specTimeout))

	It("are waited for while the API server cannot tell of them", func(ctx SpecContext) {
		object := running(ctx, aJob())
		captured(ctx, object, "first", linesOf("first"))
		due()
		h.save(ctx)
		restart()
		h.beforeRead = func(_ context.Context, key types.NamespacedName, _ runtime.Object) error {
			if key.Name == name(object, 0) {
				return apierrors.NewInternalError(errors.New("etcd is away"))
			}
			return nil
		}
		fail(ctx, object, 1)
		for range 3 {
			if _, err := h.pass(ctx, object); err != nil {
				Expect(err).To(MatchError(ContainSubstring("etcd is away")))
			}
			h.step(time.Second)
		}
		Expect(resultsIn(ctx)).To(BeEmpty())

		h.beforeRead = nil
		h.settle(ctx, object)
		Expect(recordOf(expectStored(ctx, object)).Capture.Complete).To(BeTrue())
	})
})
