package audit

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// Right is a single right: one verb on one resource of one group, or on one
// object of it, or on one path. A * stands for any.
type Right struct {
	Verb, Group, Resource string
	// Name is that of the one object, empty for all.
	Name string
	// Namespace is where the right holds, empty for everywhere.
	Namespace string
	// Path is set in place of Group and Resource; a * at its end stands for any
	// rest.
	Path string
}

// String returns the right in words.
func (r Right) String() string {
	return Request{
		Verb: r.Verb, Group: r.Group, Resource: r.Resource, Name: r.Name, Namespace: r.Namespace, Path: r.Path,
	}.String()
}

// Granted returns the rights in the ClusterRoles and Roles among the objects;
// ClusterRoles are taken as bound everywhere. Other objects are passed over.
func Granted(objects []*unstructured.Unstructured) ([]Right, error) {
	var rights []Right
	for _, object := range objects {
		if object.GroupVersionKind().Group != rbacv1.GroupName || !slices.Contains([]string{"ClusterRole", "Role"}, object.GetKind()) {
			continue
		}
		var role rbacv1.ClusterRole
		// What is looked at is the same in both kinds.
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		for i := range role.Rules {
			rights = append(rights, rightsOf(&role.Rules[i], object.GetNamespace())...)
		}
	}
	return rights, nil
}

func rightsOf(rule *rbacv1.PolicyRule, namespace string) []Right {
	var rights []Right
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, verb := range rule.Verbs {
		for _, path := range rule.NonResourceURLs {
			rights = append(rights, Right{Verb: verb, Path: path})
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					rights = append(rights, Right{
						Verb: verb, Group: group, Resource: resource, Name: name, Namespace: namespace,
					})
				}
			}
		}
	}
	return rights
}

// Unused returns the rights that none of the requests needed. A request that
// several rights allow counts for each of them.
func Unused(rights []Right, used []Request) []Right {
	var unused []Right
	for _, right := range rights {
		if !slices.ContainsFunc(used, right.allows) {
			unused = append(unused, right)
		}
	}
	return unused
}

// Outside returns the requests that none of the rights allows: what the user
// may do for another reason, such as discovery, which everybody may.
func Outside(rights []Right, used []Request) []Request {
	return slices.DeleteFunc(slices.Clone(used), func(request Request) bool {
		return slices.ContainsFunc(rights, func(right Right) bool { return right.allows(request) })
	})
}

// allows is RBAC's own rule.
func (r Right) allows(request Request) bool {
	if !matches(r.Verb, request.Verb) {
		return false
	}
	if r.Path != "" || request.Path != "" {
		rest, open := strings.CutSuffix(r.Path, rbacv1.NonResourceAll)
		return r.Path == request.Path || open && strings.HasPrefix(request.Path, rest) && request.Path != ""
	}
	return matches(r.Group, request.Group) && r.coversResource(request.Resource) &&
		(r.Name == "" || r.Name == request.Name) && (r.Namespace == "" || r.Namespace == request.Namespace)
}

func matches(granted, asked string) bool {
	return granted == "*" || granted == asked
}

// coversResource also knows */scale, a subresource of any resource.
func (r Right) coversResource(asked string) bool {
	subresource, ofAny := strings.CutPrefix(r.Resource, "*/")
	_, askedSubresource, _ := strings.Cut(asked, "/")
	return matches(r.Resource, asked) || ofAny && subresource == askedSubresource
}
