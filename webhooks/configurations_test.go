package webhooks

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/job-handler/job-handler/internal/api"
)

func service(path string) admissionv1.WebhookClientConfig {
	return admissionv1.WebhookClientConfig{
		Service: &admissionv1.ServiceReference{Namespace: api.ManagerNamespace, Name: "webhook", Path: &path},
	}
}

// entry is what both kinds of webhooks have in common.
type entry struct {
	Name, Path     string
	Conditions     []admissionv1.MatchCondition
	Rules          []admissionv1.RuleWithOperations
	Namespaces     *metav1.LabelSelector
	Objects        *metav1.LabelSelector
	FailurePolicy  admissionv1.FailurePolicyType
	MatchPolicy    admissionv1.MatchPolicyType
	SideEffects    admissionv1.SideEffectClass
	Timeout        int32
	ReviewVersions []string
}

func entries() []entry {
	mutating, validating := Configurations(service, api.ManagerNamespace)
	all := make([]entry, 0, 5)
	for _, w := range mutating.Webhooks {
		all = append(all, entry{
			w.Name, *w.ClientConfig.Service.Path, w.MatchConditions, w.Rules, w.NamespaceSelector, w.ObjectSelector,
			*w.FailurePolicy, *w.MatchPolicy, *w.SideEffects, *w.TimeoutSeconds, w.AdmissionReviewVersions,
		})
	}
	for _, w := range validating.Webhooks {
		all = append(all, entry{
			w.Name, *w.ClientConfig.Service.Path, w.MatchConditions, w.Rules, w.NamespaceSelector, w.ObjectSelector,
			*w.FailurePolicy, *w.MatchPolicy, *w.SideEffects, *w.TimeoutSeconds, w.AdmissionReviewVersions,
		})
	}
	return all
}

// TestConfigurationsNeverInTheWay holds what keeps the API server going when
// the handler does not answer.
func TestConfigurationsNeverInTheWay(t *testing.T) {
	for _, e := range entries() {
		t.Run(e.Name, func(t *testing.T) {
			got := entry{FailurePolicy: e.FailurePolicy, MatchPolicy: e.MatchPolicy, SideEffects: e.SideEffects, Timeout: e.Timeout, ReviewVersions: e.ReviewVersions}
			want := entry{
				FailurePolicy: admissionv1.Ignore, MatchPolicy: admissionv1.Equivalent,
				SideEffects: admissionv1.SideEffectClassNone, Timeout: 3, ReviewVersions: []string{"v1"},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if parts := strings.Split(e.Name, "."); len(parts) < 3 {
				t.Errorf("%s has %d parts", e.Name, len(parts))
			}
		})
	}
}

func TestConfigurationsRules(t *testing.T) {
	jobs := "[CREATE] [batch] [v1] [jobs] Namespaced"
	want := map[string]string{
		PathJobInNamespace: jobs,
		PathJob:            jobs,
		PathJobTTL:         "[UPDATE] [batch] [v1] [jobs] Namespaced",
		PathCronJob:        "[CREATE UPDATE] [batch] [v1] [cronjobs] Namespaced",
	}
	got := map[string]string{}
	for _, e := range entries() {
		var text []string
		for _, r := range e.Rules {
			operations := make([]string, len(r.Operations))
			for i, o := range r.Operations {
				operations[i] = string(o)
			}
			text = append(text, "["+strings.Join(operations, " ")+"] ["+strings.Join(r.APIGroups, " ")+"] ["+
				strings.Join(r.APIVersions, " ")+"] ["+strings.Join(r.Resources, " ")+"] "+string(*r.Scope))
		}
		got[e.Path] = strings.Join(text, "; ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestConfigurationsSelect has a row for each kind of Namespace and of Job's
// label, and the paths that are called for what is created and for what is changed.
// The match condition comes on top.
func TestConfigurationsSelect(t *testing.T) {
	labelled := labels.Set{api.EnabledLabel: api.True, "kubernetes.io/metadata.name": "a"}
	plain := labels.Set{"kubernetes.io/metadata.name": "a"}
	for name, tc := range map[string]struct {
		namespace, object labels.Set
		want              []string
	}{
		"labelled":                    {labelled, nil, []string{PathJobInNamespace, PathCronJob}},
		"labelled, Job true":          {labelled, labels.Set{api.EnabledLabel: api.True}, []string{PathJobInNamespace, PathCronJob}},
		"labelled, Job false":         {labelled, labels.Set{api.EnabledLabel: api.False}, []string{PathCronJob}},
		"plain":                       {plain, nil, []string{PathJob}},
		"plain, Job false":            {plain, labels.Set{api.EnabledLabel: api.False}, nil},
		"labelled otherwise":          {labels.Set{api.EnabledLabel: api.False, "kubernetes.io/metadata.name": "a"}, nil, []string{PathJob}},
		"kube-system, labelled":       {labels.Set{api.EnabledLabel: api.True, "kubernetes.io/metadata.name": "kube-system"}, nil, nil},
		"kube-system":                 {labels.Set{"kubernetes.io/metadata.name": "kube-system"}, nil, nil},
		"the manager's own, labelled": {labels.Set{api.EnabledLabel: api.True, "kubernetes.io/metadata.name": api.ManagerNamespace}, nil, nil},
		"the manager's own":           {labels.Set{"kubernetes.io/metadata.name": api.ManagerNamespace}, nil, nil},
		"the manager's own, Job true": {labels.Set{"kubernetes.io/metadata.name": api.ManagerNamespace}, labels.Set{api.EnabledLabel: api.True}, nil},
		"a self-test": {
			labels.Set{"kubernetes.io/metadata.name": api.ManagerNamespace},
			labels.Set{api.EnabledLabel: api.True, api.SelfTestLabel: api.True},
			[]string{PathJob},
		},
		"what looks like a self-test": {plain, labels.Set{api.SelfTestLabel: api.True}, []string{PathJob}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range entries() {
				if matches(t, e.Namespaces, tc.namespace) && matches(t, e.Objects, tc.object) && asks(e, admissionv1.Create) {
					got = append(got, e.Path)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func asks(e entry, operation admissionv1.OperationType) bool {
	return slices.ContainsFunc(e.Rules, func(r admissionv1.RuleWithOperations) bool {
		return slices.Contains(r.Operations, operation)
	})
}

// Stamped Jobs that are changed are sent once, from every namespace that is looked at.
func TestConfigurationsSelectUpdates(t *testing.T) {
	stamped := labels.Set{api.EnabledLabel: api.True}
	for name, tc := range map[string]struct {
		namespace string
		object    labels.Set
		want      []string
	}{
		"stamped":           {"a", stamped, []string{PathJobTTL}},
		"not stamped":       {"a", nil, nil},
		"opted out":         {"a", labels.Set{api.EnabledLabel: api.False}, nil},
		"kube-system":       {"kube-system", stamped, nil},
		"the manager's own": {api.ManagerNamespace, stamped, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range entries() {
				jobs := e.Path != PathCronJob
				if jobs && asks(e, admissionv1.Update) && matches(t, e.Objects, tc.object) &&
					matches(t, e.Namespaces, labels.Set{"kubernetes.io/metadata.name": tc.namespace}) {
					got = append(got, e.Path)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestConfigurationsCondition holds which entries look further than selectors.
func TestConfigurationsCondition(t *testing.T) {
	want := map[string]int{
		"namespace.jobs.job-handler.github.io": 0, "opted-in.jobs.job-handler.github.io": 1,
		"self-test.jobs.job-handler.github.io": 1, "ttl.jobs.job-handler.github.io": 4, "cronjobs.job-handler.github.io": 0,
	}
	got := map[string]int{}
	for _, e := range entries() {
		got[e.Name] = len(e.Conditions)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func matches(t *testing.T, selector *metav1.LabelSelector, set labels.Set) bool {
	t.Helper()
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Matches(set)
}

func TestConfigurationsExclude(t *testing.T) {
	mutating, _ := Configurations(service, "b", "", "kube-system", "a", "b")
	got := mutating.Webhooks[0].NamespaceSelector.MatchExpressions[1].Values
	if diff := cmp.Diff([]string{"a", "b", "kube-system"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A handler that hangs would hold a Job up each time it is asked.
func TestConfigurationsAskOnce(t *testing.T) {
	mutating, _ := Configurations(service, api.ManagerNamespace)
	for _, w := range mutating.Webhooks {
		if *w.ReinvocationPolicy != admissionv1.NeverReinvocationPolicy {
			t.Errorf("%s: %s", w.Name, *w.ReinvocationPolicy)
		}
	}
}

// registrations is a server that remembers what was registered.
type registrations struct {
	webhook.Server
	paths []string
}

func (r *registrations) Register(path string, _ http.Handler) { r.paths = append(r.paths, path) }

func TestRegisterServesEveryConfiguredPath(t *testing.T) {
	server := &registrations{}
	Register(server, Options{})
	var configured []string
	for _, e := range entries() {
		configured = append(configured, e.Path)
	}
	slices.Sort(configured)
	slices.Sort(server.paths)
	// Two entries send to one path.
	if diff := cmp.Diff(slices.Compact(configured), server.paths); diff != "" {
		t.Errorf("-configured +registered\n%s", diff)
	}
}
