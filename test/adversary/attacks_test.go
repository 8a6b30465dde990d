package adversary_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
	"github.com/job-handler/job-handler/internal/names"
	"github.com/job-handler/job-handler/internal/results"
)

// attacks are all that there are, with their full force.
var attacks = []attack{
	captureBomb.of(20), marked.of(400), hugeJobs.of(300), unlabelled.of(300), hugePods.of(300), children.of(5000),
	forged.of(60), annotations.of(200), streams.of(6),
}

// quickly are those of which a few objects show the most.
var quickly = []attack{captureBomb.of(2), marked.of(100), hugePods.of(100), forged.of(30), children.of(1000), streams.of(6)}

const (
	// hugeLabels and hugeAnnotation make some 1.3 MiB of metadata with what the API
	// server adds to it; it stores 1.5 MiB at most.
	hugeLabels     = 5000
	hugeAnnotation = 250_000
	// hugeValue is the value of an environment variable.
	hugeValue = 1_200_000
)

// huge makes an object as large as its metadata can be. Nothing bounds its labels.
func huge(object client.Object) {
	labels := map[string]string{}
	maps.Copy(labels, object.GetLabels())
	for i := range hugeLabels {
		labels[fmt.Sprintf("k%04d%s", i, strings.Repeat("a", 58))] = strings.Repeat("v", 63)
	}
	object.SetLabels(labels)
	object.SetAnnotations(map[string]string{"a": strings.Repeat("x", hugeAnnotation)})
}

// captureBomb are objects of some KiB that pass for logs of deleted pods of a Job,
// and take GiBs where they are decoded as pods.
var captureBomb = attack{name: "captures", prepare: func(ctx context.Context, s *stage) error {
	const text = 8 << 20
	return s.each(ctx, 2, func(ctx context.Context, i int) error {
		job, err := s.newJob(ctx, fmt.Sprintf("bomb-%d", i))
		if err != nil {
			return err
		}
		kind := []string{"spec", "containers", "status", "containerStatuses"}[2*(i%2):]
		var packed bytes.Buffer
		writer := gzip.NewWriter(&packed)
		head := fmt.Sprintf(`{"pod":{"metadata":{"uid":"x","ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":%q,"uid":%q,"controller":true}]},%q:{%q:[{}`,
			job.Name, job.UID, kind[0], kind[1])
		_, _ = writer.Write([]byte(head + strings.Repeat(",{}", (text-len(head)-16)/3) + "]}}}"))
		_ = writer.Close()
		for number := range s.objects {
			if err := s.Create(ctx, captureOf(job, number, map[string][]byte{"pods.gz": packed.Bytes()})); err != nil {
				return err
			}
		}
		// A pod that is counted is not there.
		s.expect(job, "is ignored, it does not hold logs of deleted pods")
		return s.complete(ctx, job, 1)
	})
}}

// marked are ConfigMaps in a namespace that is not handled, and pass for results and
// for captures.
var marked = attack{name: "marked", notOptedIn: true, prepare: func(ctx context.Context, s *stage) error {
	return s.each(ctx, s.objects, func(ctx context.Context, i int) error {
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: fmt.Sprintf("marked-%d", i),
			Labels: map[string]string{api.CreatedLabel: api.True, api.CaptureOfLabel: fmt.Sprintf("uid-%d", i)},
		}}
		huge(object)
		return s.Create(ctx, object)
	})
}}

// hugeJobs wait, suspended, in a namespace that is not handled, and are labelled.
var hugeJobs = attack{name: "huge Jobs", notOptedIn: true, prepare: func(ctx context.Context, s *stage) error {
	return s.each(ctx, s.objects, func(ctx context.Context, i int) error {
		job := jobtest.MakeJob(s.namespace, fmt.Sprintf("huge-%d", i)).Label(api.EnabledLabel, api.True).Suspended().Obj()
		huge(job)
		return s.Create(ctx, job)
	})
}}

// unlabelled are such Jobs as admission missed.
var unlabelled = attack{name: "unlabelled Jobs", prepare: func(ctx context.Context, s *stage) error {
	return s.each(ctx, s.objects, func(ctx context.Context, i int) error {
		job := jobtest.MakeJob(s.namespace, fmt.Sprintf("huge-%d", i)).Suspended().Obj()
		huge(job)
		return s.Create(ctx, job)
	})
}}

// hugePods are those of a Job that was opted in when it had finished, so that they
// are read from the API server.
var hugePods = attack{name: "huge pods", notOptedIn: true, prepare: func(ctx context.Context, s *stage) error {
	job, err := s.newJob(ctx, "huge")
	if err != nil {
		return err
	}
	err = s.each(ctx, s.objects, func(ctx context.Context, i int) error {
		pod := podOf(job, fmt.Sprintf("huge-%d", i))
		delete(pod.Labels, api.EnabledLabel)
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "HUGE", Value: strings.Repeat("x", hugeValue)}}
		if err := s.Create(ctx, pod); err != nil {
			return err
		}
		return s.setEnded(ctx, pod)
	})
	if err != nil {
		return err
	}
	s.expect(job, "")
	return s.complete(ctx, job, int32(s.objects))
}}

// children are Jobs of one CronJob, which never start.
var children = attack{name: "CronJob's children", prepare: func(ctx context.Context, s *stage) error {
	owner := jobtest.MakeCronJob(s.namespace, "parent").History(100_000, 100_000).Suspended().Obj()
	owner.Spec.Schedule = "0 0 1 1 *"
	if err := s.Create(ctx, owner); err != nil {
		return err
	}
	return s.each(ctx, s.objects, func(ctx context.Context, i int) error {
		job := jobtest.MakeJob(s.namespace, fmt.Sprintf("child-%d", i)).Label(api.EnabledLabel, api.True).
			OwnedBy(batchv1.SchemeGroupVersion.String(), "CronJob", owner.Name, owner.UID).Obj()
		job.Spec.Parallelism = new(int32(0))
		return s.Create(ctx, job)
	})
}}

// forged are results that are there before their Job has finished, with a job.json
// and a list of parts of as many empty elements as fit.
var forged = attack{name: "forged results", prepare: func(ctx context.Context, s *stage) error {
	return s.each(ctx, s.objects, func(ctx context.Context, i int) error {
		job, err := s.newJob(ctx, fmt.Sprintf("forged-%d", i))
		if err != nil {
			return err
		}
		const room = 500_000
		data := map[string]string{
			api.DataJobName: job.Name, api.DataStatus: api.StatusCompleted, api.DataLogs: "forged",
			api.DataJobJSON: fmt.Sprintf(`{"schema":%q,"job":{"uid":%q},"pods":[{}%s]}`, api.SchemaV1, job.UID, strings.Repeat(",{}", room/3)),
			api.DataParts:   fmt.Sprintf(`{"key":%q,"parts":[{}%s]}`, api.DataLogsGzip, strings.Repeat(",{}", room/3)),
		}
		s.expect(job, "")
		object := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: s.namespace, Name: job.Name + api.ResultsSuffix,
				Labels: map[string]string{
					api.CreatedLabel: api.True, api.JobUIDLabel: string(job.UID), api.JobNameLabel: job.Name, api.StatusLabel: api.StatusCompleted,
				},
				Annotations: map[string]string{
					api.SHA256Annotation: results.Digest(data, nil), api.BytesAnnotation: strconv.Itoa(2 * room),
					api.CreatedAtAnnotation: time.Now().UTC().Format(time.RFC3339),
				},
			},
			Immutable: new(true), Data: data,
		}
		if err := s.Create(ctx, object); err != nil {
			return err
		}
		return s.complete(ctx, job, 0)
	})
}}

// annotations are as long as they can be, each in another of those that are read.
var annotations = attack{name: "annotations", prepare: func(ctx context.Context, s *stage) error {
	long := []struct{ key, value string }{
		{api.PropagateLabelsAnnotation, strings.Repeat("a,", hugeAnnotation/2)},
		{api.ResultsTTLAnnotation, strings.Repeat("1h", hugeAnnotation/2)},
		{api.DeleteAfterFailureAnnotation, strings.Repeat("9", hugeAnnotation)},
		{api.ResultsNameAnnotation, strings.Repeat("a", hugeAnnotation) + api.ResultsSuffix},
		{api.LogModeAnnotation, strings.Repeat("[", hugeAnnotation)},
		{api.TTLAnnotation, strings.Repeat("{", hugeAnnotation)},
		{api.CaptureAnnotation, strings.Repeat("\x1b", hugeAnnotation)},
	}
	return s.each(ctx, s.objects, func(ctx context.Context, i int) error {
		set := long[i%len(long)]
		job := jobtest.MakeJob(s.namespace, fmt.Sprintf("long-%d", i)).Label(api.EnabledLabel, api.True).Annotation(set.key, set.value).Obj()
		if err := s.Create(ctx, job); err != nil {
			return err
		}
		return s.complete(ctx, job, 0)
	})
}}

// streams are pods that are deleted, write nothing, and have a week to end.
var streams = attack{
	name: "silent streams",
	prepare: func(ctx context.Context, s *stage) error {
		return s.each(ctx, s.objects, func(ctx context.Context, i int) error {
			job, err := s.newJob(ctx, fmt.Sprintf("silent-%d", i))
			if err != nil {
				return err
			}
			pod := podOf(job, job.Name+"-0")
			pod.Spec.TerminationGracePeriodSeconds = new(int64(7 * 24 * 60 * 60))
			only := pod.Spec.Containers[0]
			pod.Spec.Containers = nil
			for n := range 100 {
				only.Name = fmt.Sprintf("silent-%d", n)
				pod.Spec.Containers = append(pod.Spec.Containers, only)
			}
			if err := s.Create(ctx, pod); err != nil {
				return err
			}
			return s.setRunning(ctx, pod)
		})
	},
	during: func(ctx context.Context, s *stage, ended <-chan struct{}) error {
		for i := range s.objects {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: fmt.Sprintf("silent-%d-0", i)}}
			if err := s.Delete(ctx, pod); err != nil {
				return err
			}
		}
		return s.othersAreCaptured(ctx, ended)
	},
}

// othersAreCaptured has a pod of another namespace be deleted at work, and expects
// that its log is kept.
func (s *stage) othersAreCaptured(ctx context.Context, ended <-chan struct{}) error {
	namespace, err := s.newNamespace(ctx, "captured", true)
	if err != nil {
		return err
	}
	other := &stage{world: s.world, attack: attack{name: "beside " + s.name}, namespace: namespace}
	if err := other.served(ctx, ended); err != nil {
		return err
	}
	job, err := other.newJob(ctx, "deadline")
	if err != nil {
		return err
	}
	pod := podOf(job, "deadline-0")
	pod.Spec.TerminationGracePeriodSeconds = new(int64(30))
	if err := s.Create(ctx, pod); err != nil {
		return err
	}
	if err := s.setRunning(ctx, pod); err != nil {
		return err
	}
	if err := s.Delete(ctx, pod); err != nil {
		return err
	}
	// Its program has some seconds to end.
	pause(ctx, 5*time.Second)
	if err := s.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
		return err
	}
	if err := s.setEnded(ctx, pod); err != nil {
		return err
	}
	pause(ctx, time.Second)
	if err := s.Delete(ctx, pod, client.GracePeriodSeconds(0)); err != nil {
		return err
	}
	if err := s.complete(ctx, job, 1); err != nil {
		return err
	}
	other.expect(job, "")
	if err := other.goOn(ctx, ended); err != nil {
		return err
	}
	stored := &corev1.ConfigMap{}
	if err := s.Get(ctx, client.ObjectKey{Namespace: namespace, Name: job.Name + api.ResultsSuffix}, stored); err != nil {
		return err
	}
	if !containsAll(stored.Data[api.DataLogs], neighbourLog) {
		return fmt.Errorf("the log of a deleted pod of another namespace is %q", stored.Data[api.DataLogs])
	}
	return nil
}

// served waits until a Job that has finished here is stored: by then the manager has
// read all that is there, and sees what is deleted.
func (s *stage) served(ctx context.Context, ended <-chan struct{}) error {
	job, err := s.newJob(ctx, "first")
	if err != nil {
		return err
	}
	if err := s.complete(ctx, job, 0); err != nil {
		return err
	}
	s.expect(job, "")
	return s.goOn(ctx, ended)
}

// newJob makes a Job that is handled.
func (s *stage) newJob(ctx context.Context, name string) (*batchv1.Job, error) {
	job := jobtest.MakeJob(s.namespace, name).Label(api.EnabledLabel, api.True).TemplateLabel(api.EnabledLabel, api.True).
		Annotation(api.ResultsNameAnnotation, name+api.ResultsSuffix).Obj()
	return job, s.Create(ctx, job)
}

// captureOf returns an object that passes for logs of deleted pods.
func captureOf(job *batchv1.Job, number int, values map[string][]byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: job.Namespace, Name: names.Capture(job.Name, job.UID, number),
			Labels:          map[string]string{api.CreatedLabel: api.True, api.CaptureOfLabel: string(job.UID)},
			Annotations:     map[string]string{api.SHA256Annotation: results.Digest(nil, values)},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID}},
		},
		Immutable: new(true), BinaryData: values,
	}
}

// expect has a Job get its outcome.
func (s *stage) expect(job *batchv1.Job, warning string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wants = append(s.wants, outcome{job.DeepCopy(), warning})
}
