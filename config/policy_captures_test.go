package config_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
)

// onlyTheJob is the answer to whatever belongs to somebody else.
const onlyTheJob = "with an owner only if that is the Job that its label job-handler/capture-of tells of"

// onlyCaptures is the answer to a deletion of anything else that has an owner.
const onlyCaptures = "without an owner or captures of its Job"

var _ = Describe("What the policies let captures belong to", func() {
	const uid = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"

	// change is what of the owner is not as it should be.
	owned := func(change func(*metav1.OwnerReference)) func(client.Object) {
		return func(object client.Object) {
			owner := metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: "report", UID: uid}
			change(&owner)
			object.GetLabels()[api.CaptureOfLabel] = uid
			object.SetOwnerReferences([]metav1.OwnerReference{owner})
		}
	}
	asItShould := func(*metav1.OwnerReference) {}
	for kind, object := range map[string]func(namespace string) client.Object{
		"ConfigMap": func(namespace string) client.Object { return resultsOf(namespace) },
		"Secret":    func(namespace string) client.Object { return secretResultsOf(namespace) },
	} {
		DescribeTable("creation of a "+kind, func(ctx SpecContext, change func(client.Object), answer string) {
			created := object(newNamespace(ctx))
			change(created)
			Expect(almighty.Create(ctx, created)).To(answerWith(answer))
		},
			Entry("that is the Job's", owned(asItShould), allowed),
			Entry("that says the Job is no controller", owned(func(o *metav1.OwnerReference) {
				o.Controller, o.BlockOwnerDeletion = new(false), new(false)
			}), allowed),
			Entry("that is nobody's", func(object client.Object) {
				object.GetLabels()[api.CaptureOfLabel] = uid
			}, onlyTheJob),
			Entry("that is another Job's", owned(func(o *metav1.OwnerReference) { o.UID = "another" }), onlyTheJob),
			Entry("that is a CronJob's", owned(func(o *metav1.OwnerReference) { o.Kind = "CronJob" }), onlyTheJob),
			Entry("that is a Job's of another group", owned(func(o *metav1.OwnerReference) { o.APIVersion = "batch.volcano.sh/v1alpha1" }), onlyTheJob),
			Entry("that the Job controls", owned(func(o *metav1.OwnerReference) { o.Controller = new(true) }), onlyTheJob),
			Entry("that holds the Job", owned(func(o *metav1.OwnerReference) { o.BlockOwnerDeletion = new(true) }), onlyTheJob),
			Entry("that is somebody else's too", func(object client.Object) {
				owned(asItShould)(object)
				object.SetOwnerReferences(append(object.GetOwnerReferences(), anOwner()...))
			}, onlyTheJob),
			Entry("with results that are the Job's", func(object client.Object) {
				owned(asItShould)(object)
				delete(object.GetLabels(), api.CaptureOfLabel)
			}, onlyTheJob),
			Entry("that is not labelled as ours", func(object client.Object) {
				owned(asItShould)(object)
				delete(object.GetLabels(), api.CreatedLabel)
			}, "job-handler/created=true"),
		)

		DescribeTable("deletion of a "+kind, func(ctx SpecContext, change func(client.Object), answer string) {
			there := object(newNamespace(ctx))
			change(there)
			Expect(kube.Create(ctx, there)).To(Succeed())
			Expect(almighty.Delete(ctx, there)).To(answerWith(answer))
		},
			Entry("that is the Job's", owned(asItShould), allowed),
			Entry("that is another Job's", owned(func(o *metav1.OwnerReference) { o.UID = "another" }), onlyCaptures),
			Entry("that is a CronJob's", owned(func(o *metav1.OwnerReference) { o.Kind = "CronJob" }), onlyCaptures),
			Entry("that is a Job's of another group", owned(func(o *metav1.OwnerReference) { o.APIVersion = "batch.volcano.sh/v1alpha1" }), onlyCaptures),
			Entry("that the Job controls", owned(func(o *metav1.OwnerReference) { o.Controller = new(true) }), onlyCaptures),
			Entry("that is somebody else's too", func(object client.Object) {
				owned(asItShould)(object)
				object.SetOwnerReferences(append(object.GetOwnerReferences(), anOwner()...))
			}, onlyCaptures),
			Entry("that keeps captures of nothing", func(object client.Object) {
				owned(asItShould)(object)
				object.GetLabels()[api.CaptureOfLabel] = ""
			}, onlyCaptures),
			Entry("with results that are the Job's", func(object client.Object) {
				owned(asItShould)(object)
				delete(object.GetLabels(), api.CaptureOfLabel)
			}, onlyCaptures),
			Entry("that is not labelled as ours", func(object client.Object) {
				owned(asItShould)(object)
				delete(object.GetLabels(), api.CreatedLabel)
			}, onlyCaptures),
			Entry("that may change", func(object client.Object) {
				owned(asItShould)(object)
				switch o := object.(type) {
				case *corev1.ConfigMap:
					o.Immutable = nil
				case *corev1.Secret:
					o.Immutable = nil
				}
			}, onlyCaptures),
		)
	}
})
