package webhooks

import (
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// ConfigurationName is the name of both webhook configurations.
const ConfigurationName = "job-handler"

const (
	webhookDomain  = ".job-handler.github.io"
	timeoutSeconds = 3
)

// Configurations returns the webhook configurations. clientConfig says how the API server
// reaches the handler on one of the paths, and must not return the same pointers twice.
// The API server sends no objects of ownNamespace, excludedNamespaces and kube-system.
//
// Two entries match Jobs that are created: one all Jobs of labelled Namespaces, the
// other, in all other Namespaces, Jobs that carry the label or the annotation themselves.
// No Job matches both, and Jobs with the label job-handler/enabled=false match neither.
// Jobs that are not opted in are not sent at all. A third entry matches stamped Jobs
// whose ttlSecondsAfterFinished a client changes. The last entry matches the self-test:
// what the manager creates in its own Namespace, in a dry run.
func Configurations(
	clientConfig func(path string) admissionv1.WebhookClientConfig, ownNamespace string, excludedNamespaces ...string,
) (*admissionv1.MutatingWebhookConfiguration, *admissionv1.ValidatingWebhookConfiguration) {
	excluded := excludedValues(append([]string{ownNamespace}, excludedNamespaces...))
	mutating := &admissionv1.MutatingWebhookConfiguration{
		TypeMeta:   typeMeta("MutatingWebhookConfiguration"),
		ObjectMeta: metav1.ObjectMeta{Name: ConfigurationName},
	}
	inNamespace := jobWebhook("namespace.jobs", clientConfig(PathJobInNamespace))
	inNamespace.NamespaceSelector = namespaceSelector(metav1.LabelSelectorOpIn, excluded)
	alone := jobWebhook("opted-in.jobs", clientConfig(PathJob))
	alone.NamespaceSelector = namespaceSelector(metav1.LabelSelectorOpNotIn, excluded)
	alone.MatchConditions = []admissionv1.MatchCondition{{Name: "says-so-itself", Expression: saysSoItself()}}
	mutating.Webhooks = []admissionv1.MutatingWebhook{
		inNamespace, alone,
		ttlWebhook(clientConfig(PathJobTTL), ownNamespace, excluded),
		selfTestWebhook(clientConfig(PathJob), ownNamespace),
	}

	validating := &admissionv1.ValidatingWebhookConfiguration{
		TypeMeta:   typeMeta("ValidatingWebhookConfiguration"),
		ObjectMeta: metav1.ObjectMeta{Name: ConfigurationName},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name:                    "cronjobs" + webhookDomain,
			ClientConfig:            clientConfig(PathCronJob),
			Rules:                   rules("cronjobs", admissionv1.Create, admissionv1.Update),
			NamespaceSelector:       namespaceSelector(metav1.LabelSelectorOpIn, excluded),
			ObjectSelector:          &metav1.LabelSelector{},
			MatchPolicy:             new(admissionv1.Equivalent),
			FailurePolicy:           new(admissionv1.Ignore),
			SideEffects:             new(admissionv1.SideEffectClassNone),
			TimeoutSeconds:          new(int32(timeoutSeconds)),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	return mutating, validating
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: kind}
}

// jobWebhook calls the webhook once for each Job. With IfNeeded, a handler that hangs
// would delay a Job a second time after another webhook changed it. The manager sees such
// changes when it first reconciles the Job.
func jobWebhook(name string, clientConfig admissionv1.WebhookClientConfig) admissionv1.MutatingWebhook {
	return admissionv1.MutatingWebhook{
		Name:                    name + webhookDomain,
		ClientConfig:            clientConfig,
		Rules:                   rules("jobs", admissionv1.Create),
		ObjectSelector:          notOptedOut(),
		MatchPolicy:             new(admissionv1.Equivalent),
		FailurePolicy:           new(admissionv1.Ignore),
		SideEffects:             new(admissionv1.SideEffectClassNone),
		TimeoutSeconds:          new(int32(timeoutSeconds)),
		ReinvocationPolicy:      new(admissionv1.NeverReinvocationPolicy),
		AdmissionReviewVersions: []string{"v1"},
	}
}

// ttlWebhook is a separate entry: when a Job is created there is no oldObject, and a
// condition that fails would leave the Job unstamped. It matches no requests of the
// manager, no stored Jobs, and no requests that remove the record of the TTL, since these
// restore the TTL (`job-handler release`).
func ttlWebhook(clientConfig admissionv1.WebhookClientConfig, ownNamespace string, excluded []string) admissionv1.MutatingWebhook {
	webhook := jobWebhook("ttl.jobs", clientConfig)
	webhook.Rules = rules("jobs", admissionv1.Update)
	webhook.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: slices.Clone(excluded)},
	}}
	webhook.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{api.EnabledLabel: api.True}}
	record := func(object string) string {
		return fmt.Sprintf("%s.metadata.?annotations[?'%s'].hasValue()", object, api.TTLAnnotation)
	}
	webhook.MatchConditions = []admissionv1.MatchCondition{
		{
			Name: "ttl-changes",
			Expression: "oldObject != null && object.spec.?ttlSecondsAfterFinished.orValue(-1) " +
				"!= oldObject.spec.?ttlSecondsAfterFinished.orValue(-1)",
		},
		{
			Name:       "is-not-the-manager",
			Expression: fmt.Sprintf("request.userInfo.username != 'system:serviceaccount:%s:%s'", ownNamespace, api.ManagerName),
		},
		{Name: "keeps-the-record", Expression: fmt.Sprintf("oldObject == null || !%s || %s", record("oldObject"), record("object"))},
		{Name: "is-not-stored", Expression: fmt.Sprintf("!object.metadata.?annotations[?'%s'].hasValue()", api.StatusAnnotation)},
	}
	return webhook
}

// selfTestWebhook uses the path of Jobs that opt in themselves. It matches dry runs only,
// whatever the labels of a Job.
func selfTestWebhook(clientConfig admissionv1.WebhookClientConfig, ownNamespace string) admissionv1.MutatingWebhook {
	webhook := jobWebhook("self-test.jobs", clientConfig)
	webhook.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ownNamespace}}
	webhook.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{api.SelfTestLabel: api.True}}
	webhook.MatchConditions = []admissionv1.MatchCondition{{
		Name: "is-a-dry-run", Expression: "has(request.dryRun) && request.dryRun",
	}}
	return webhook
}

func rules(resource string, operations ...admissionv1.OperationType) []admissionv1.RuleWithOperations {
	return []admissionv1.RuleWithOperations{{
		Operations: operations,
		Rule: admissionv1.Rule{
			APIGroups:   []string{batchv1.GroupName},
			APIVersions: []string{batchv1.SchemeGroupVersion.Version},
			Resources:   []string{resource},
			Scope:       new(admissionv1.NamespacedScope),
		},
	}}
}

func namespaceSelector(enabled metav1.LabelSelectorOperator, excluded []string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: api.EnabledLabel, Operator: enabled, Values: []string{api.True}},
		{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: slices.Clone(excluded)},
	}}
}

func notOptedOut() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: api.EnabledLabel, Operator: metav1.LabelSelectorOpNotIn, Values: []string{api.False}},
	}}
}

// saysSoItself is true for an object that carries the label or the annotation. Every
// field is guarded: an error would count as a failed call.
func saysSoItself() string {
	return fmt.Sprintf("object.metadata.?labels[?'%s'].hasValue() || object.metadata.?annotations[?'%s'].hasValue()",
		api.EnabledLabel, api.EnabledAnnotation)
}

func excludedValues(namespaces []string) []string {
	values := append([]string{metav1.NamespaceSystem}, namespaces...)
	slices.Sort(values)
	return slices.DeleteFunc(slices.Compact(values), func(name string) bool { return name == "" })
}
