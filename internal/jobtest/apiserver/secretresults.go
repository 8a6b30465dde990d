package apiserver

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
)

// GrantSecretResults gives the installed manager the rights for results in
// Secrets of a namespace, as config/components/secret-results does, and waits
// until the server has taken note.
func (s *Server) GrantSecretResults(ctx context.Context, namespace string) error {
	objects, err := config.Load(config.SecretResultsManifests...)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if object.GetKind() == "RoleBinding" {
			object.SetNamespace(namespace)
		}
		if err := s.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	err = wait.PollUntilContextTimeout(ctx, grantPoll, grantTimeout, true, func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: api.ManagerUser,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: "create", Resource: "secrets", Namespace: namespace,
			},
		}}
		err := s.Create(ctx, review)
		return review.Status.Allowed, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the rights on Secrets: %w", err)
	}
	return nil
}
