package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/job-handler/job-handler/internal/api"
)

// TestResolveProtect has a row for every source, with all weaker ones against it.
func TestResolveProtect(t *testing.T) {
	for name, tc := range map[string]struct {
		job, namespace string
		flag           bool
		want           Protection
		asked          bool
	}{
		"nobody":                          {"", "", false, Protection{false, SourceDefault}, false},
		"the flag":                        {"", "", true, Protection{true, SourceFlag}, false},
		"the Namespace":                   {"", api.True, false, Protection{true, SourceNamespace}, true},
		"the Namespace against the flag":  {"", api.False, true, Protection{false, SourceNamespace}, true},
		"the Job":                         {api.True, api.False, false, Protection{true, SourceJob}, true},
		"the Job against all others":      {api.False, api.True, true, Protection{false, SourceJob}, true},
		"an invalid Job":                  {"yes", api.True, false, Protection{true, SourceNamespace}, true},
		"an invalid Job and Namespace":    {"yes", "no", true, Protection{true, SourceFlag}, false},
		"invalid values and nothing else": {"1", "0", false, Protection{false, SourceDefault}, false},
	} {
		t.Run(name, func(t *testing.T) {
			builder, namespace := job(), annotations{}
			if tc.job != "" {
				builder.Annotation(api.ProtectAnnotation, tc.job)
			}
			if tc.namespace != "" {
				namespace[api.ProtectAnnotation] = tc.namespace
			}
			got, _ := Resolve(builder.Obj(), namespace, Defaults{Protect: tc.flag})
			if diff := cmp.Diff(tc.want, got.Protect); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if got.Protect.Asked() != tc.asked {
				t.Errorf("Asked = %t", got.Protect.Asked())
			}
		})
	}
}

func TestProtect(t *testing.T) {
	const ours, theirs = api.ResultsFinalizer, "example.com/theirs"
	for name, tc := range map[string]struct {
		has      []string
		wanted   bool
		deleting bool
		want     []string
		changed  bool
	}{
		"put on":                       {nil, true, false, []string{ours}, true},
		"put on beside another":        {[]string{theirs}, true, false, []string{theirs, ours}, true},
		"there already":                {[]string{ours, theirs}, true, false, []string{ours, theirs}, false},
		"not on what is being deleted": {[]string{theirs}, true, true, []string{theirs}, false},
		"stays on what is deleted":     {[]string{ours}, true, true, []string{ours}, false},
		"taken away":                   {[]string{ours}, false, false, []string{}, true},
		"taken from between others":    {[]string{"a/b", ours, "c/d"}, false, false, []string{"a/b", "c/d"}, true},
		"taken from what is deleted":   {[]string{ours, theirs}, false, true, []string{theirs}, true},
		"not there":                    {[]string{theirs, "job-handler/other"}, false, false, []string{theirs, "job-handler/other"}, false},
		"nothing there":                {nil, false, true, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			given := job().Obj()
			given.Finalizers = tc.has
			if tc.deleting {
				given.DeletionTimestamp = &metav1.Time{}
			}
			before := given.DeepCopy()
			got := *given // shares its finalizers, as a Job that was read does with the cache
			if changed := Protect(&got, tc.wanted); changed != tc.changed {
				t.Errorf("changed = %t", changed)
			}
			if diff := cmp.Diff(tc.want, got.Finalizers); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if diff := cmp.Diff(before, given); diff != "" {
				t.Errorf("the finalizers of the Job read changed:\n%s", diff)
			}
			if Protect(&got, tc.wanted) {
				t.Error("a second call changed it")
			}
		})
	}
}
