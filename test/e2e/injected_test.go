package e2e

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"

	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/jobtest"
)

// injected: webhooks of a service mesh add sidecars, one to Jobs before ours is asked,
// one to Jobs after it, one to pods. The Job is stamped all the same, its results have
// the logs of all of them, and it is deleted.
func injected(s *story) {
	s.optedIn()
	// The API server asks webhook configurations in the order of their names.
	s.injecting("early", jobsCreated(), intoJob)
	s.injecting("late", jobsCreated(), intoJob)
	s.injecting("mesh", podsCreated(), intoPod)

	job := s.start(s.job("report", "echo report written"))
	s.Expect(job.Labels).To(HaveKeyWithValue(api.EnabledLabel, api.True))
	s.Expect(job.Annotations).To(HaveKeyWithValue(api.ResultsNameAnnotation, "report-results"))
	s.Expect(job.Spec.Template.Labels).To(And(
		HaveKeyWithValue(api.EnabledLabel, api.True), HaveKeyWithValue("mesh", "late"),
		HaveKeyWithValue(batchv1.JobNameLabel, "report")))

	s.gone(job)
	r := s.stored(job)
	s.complete(r)
	texts := map[string]string{}
	for _, log := range r.logs() {
		texts[log.Container] = log.Text
	}
	s.Expect(texts).To(Equal(map[string]string{
		"early": "proxy ready\nproxy ended\n",
		"late":  "proxy ready\nproxy ended\n",
		"mesh":  "proxy ready\nproxy ended\n",
		"main":  "report written\n",
	}))
}

// injecting has a webhook of this name change what is created in the story's namespace.
func (s *story) injecting(name string, rule admissionv1.RuleWithOperations, change func(name string, raw []byte) (any, error)) {
	s.t.Helper()
	asked := s.answering(func(_ context.Context, request admission.Request) admission.Response {
		changed, err := change(name, request.Object.Raw)
		if err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
		encoded, err := json.Marshal(changed)
		if err != nil {
			return admission.Errored(http.StatusInternalServerError, err)
		}
		return admission.PatchResponseFromRaw(request.Object.Raw, encoded)
	})
	configuration := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionv1.MutatingWebhook{{
			Name:                    name + ".example.com",
			ClientConfig:            asked,
			Rules:                   []admissionv1.RuleWithOperations{rule},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}},
			SideEffects:             new(admissionv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	s.create(configuration)
	s.t.Cleanup(func() { _ = s.w.client.Delete(context.WithoutCancel(s.ctx()), configuration) })
	s.awaitInjection(name, rule)
}

// answering serves a webhook until the story ends, and returns how the API server reaches
// it.
func (s *story) answering(answer admission.HandlerFunc) admissionv1.WebhookClientConfig {
	s.t.Helper()
	server := httptest.NewTLSServer(&admission.Webhook{Handler: answer})
	s.t.Cleanup(server.Close)
	return admissionv1.WebhookClientConfig{
		URL:      &server.URL,
		CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
	}
}

// awaitInjection waits until the API server asks a webhook that was added. Nothing is
// created: it asks with a dry run.
func (s *story) awaitInjection(name string, rule admissionv1.RuleWithOperations) {
	s.t.Helper()
	s.eventually(func(g Gomega) {
		probe := s.job("probe", "true").Obj()
		var object client.Object = probe
		if rule.Resources[0] == "pods" {
			object = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "probe"}, Spec: probe.Spec.Template.Spec}
		}
		g.Expect(s.w.client.Create(s.ctx(), object, client.DryRunAll)).To(Succeed())
		g.Expect(object.GetAnnotations()).To(HaveKey(meshAnnotation + name))
	})
}

func jobsCreated() admissionv1.RuleWithOperations {
	return admissionv1.RuleWithOperations{
		Operations: []admissionv1.OperationType{admissionv1.Create},
		Rule:       admissionv1.Rule{APIGroups: []string{"batch"}, APIVersions: []string{"v1"}, Resources: []string{"jobs"}},
	}
}

// meshAnnotation begins the annotation of an object to which a sidecar was added.
const meshAnnotation = "mesh.example.com/"

// intoJob adds a sidecar and a label to the pod template of an encoded Job.
func intoJob(name string, raw []byte) (any, error) {
	job := &batchv1.Job{}
	if err := json.Unmarshal(raw, job); err != nil {
		return nil, err
	}
	metav1.SetMetaDataAnnotation(&job.ObjectMeta, meshAnnotation+name, "injected")
	template := &job.Spec.Template
	metav1.SetMetaDataLabel(&template.ObjectMeta, "mesh", name)
	template.Spec.InitContainers = append(template.Spec.InitContainers, sidecar(name))
	return job, nil
}

// intoPod adds a sidecar to an encoded pod.
func intoPod(name string, raw []byte) (any, error) {
	pod := &corev1.Pod{}
	if err := json.Unmarshal(raw, pod); err != nil {
		return nil, err
	}
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, meshAnnotation+name, "injected")
	pod.Spec.InitContainers = append(pod.Spec.InitContainers, sidecar(name))
	return pod, nil
}

// sidecar returns a container that runs beside the others, and ends after them.
func sidecar(name string) corev1.Container {
	const script = `trap 'echo proxy ended; exit 0' TERM; echo proxy ready; while :; do sleep 0.1; done`
	return jobtest.MakeJob("", "").Sidecar(name, script).Obj().Spec.Template.Spec.InitContainers[0]
}
