package main

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// mayWatch reports whether the user may list and watch objects of the resource, or the
// one with this name. If that is unknown it returns true.
func (c *cluster) mayWatch(ctx context.Context, resource schema.GroupVersionResource, name string) bool {
	for _, verb := range []string{"list", "watch"} {
		review, err := c.access.SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: c.namespace, Verb: verb, Group: resource.Group, Version: resource.Version, Resource: resource.Resource, Name: name,
			}},
		}, metav1.CreateOptions{})
		if err == nil && !review.Status.Allowed {
			return false
		}
	}
	return true
}
