// Package apiserver gives a test suite a real kube-apiserver with etcd, and users
// with the rights of the installed manager. No controller runs unless a test asks
// for it. The test does their work, such as setting the status of Jobs, making pods
// or ending a Namespace, so that nothing happens at an unexpected time.
package apiserver

import (
	"context"
	"fmt"
	"slices"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/job-handler/job-handler/config"
	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/localcluster"
)

const (
	// StartTimeout is enough for Start where the programs are built.
	StartTimeout = 10 * time.Minute

	grantTimeout = 2 * time.Minute
	grantPoll    = 5 * time.Millisecond

	// The server looks for changed policies once a second.
	policyTimeout = 2 * time.Minute
	policyPoll    = 20 * time.Millisecond
)

// Server is a running kube-apiserver. The client in it is the administrator's.
type Server struct {
	client.WithWatch
	cluster *localcluster.Cluster
}

// Start builds what is needed, starts the server and returns when it is ready.
func Start(ctx context.Context) (*Server, error) {
	return StartWith(ctx, localcluster.Options{})
}

// StartWith is Start for a control plane with more than that.
func StartWith(ctx context.Context, options localcluster.Options) (*Server, error) {
	cluster, err := localcluster.Start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("starting the control plane: %w", err)
	}
	admin, err := client.NewWithWatch(cluster.RESTConfig(), client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("building the administrator's client: %w", err)
	}
	return &Server{WithWatch: admin, cluster: cluster}, nil
}

// Stop ends the server.
func (s *Server) Stop(ctx context.Context) error {
	return s.cluster.Stop(ctx)
}

// Cluster is the cluster of the server.
func (s *Server) Cluster() *localcluster.Cluster { return s.cluster }

// InstalledManager returns a client configuration for the manager as it is
// installed: its ServiceAccount with its role, under the policies that narrow
// what it may write. They are in effect when it returns. It can be called once.
func (s *Server) InstalledManager(ctx context.Context) (*rest.Config, error) {
	policies, err := config.Load(config.PolicyManifests)
	if err != nil {
		return nil, err
	}
	for _, object := range policies {
		if err := s.Create(ctx, object); err != nil {
			return nil, fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	manager, err := s.Manager(ctx, api.ManagerUser)
	if err != nil {
		return nil, err
	}
	return manager, awaitPolicies(ctx, manager)
}

// awaitPolicies waits until the last of the policies to take effect refuses the
// manager what is not allowed. Nothing is created: it asks with a dry run.
func awaitPolicies(ctx context.Context, manager *rest.Config) error {
	c, err := client.New(manager, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return fmt.Errorf("building the manager's client: %w", err)
	}
	err = wait.PollUntilContextTimeout(ctx, policyPoll, policyTimeout, true, func(ctx context.Context) (bool, error) {
		mutable := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceDefault, GenerateName: "policy-probe-",
		}}
		err := c.Create(ctx, mutable, client.DryRunAll)
		if apierrors.IsForbidden(err) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the policies: %w", err)
	}
	return nil
}

// Right is a verb on a resource.
type Right struct{ Group, Resource, Verb string }

// Manager returns a client configuration for a user with the rights of the
// role in config/rbac, less those of without, and waits until the server has
// taken note. Each user can be made once.
func (s *Server) Manager(ctx context.Context, user string, without ...Right) (*rest.Config, error) {
	role, err := managerRole(user, without)
	if err != nil {
		return nil, err
	}
	if err := s.Create(ctx, role); err != nil {
		return nil, fmt.Errorf("creating the role of %s: %w", user, err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	if err := s.Create(ctx, binding); err != nil {
		return nil, fmt.Errorf("binding the role of %s: %w", user, err)
	}
	if err := s.awaitRights(ctx, user); err != nil {
		return nil, err
	}
	return s.cluster.ConfigFor(user)
}

// awaitRights waits until user may do what every manager may.
func (s *Server) awaitRights(ctx context.Context, user string) error {
	err := wait.PollUntilContextTimeout(ctx, grantPoll, grantTimeout, true, func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Resource: "namespaces"},
		}}
		err := s.Create(ctx, review)
		return review.Status.Allowed, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the rights of %s: %w", user, err)
	}
	return nil
}

func managerRole(name string, without []Right) (*rbacv1.ClusterRole, error) {
	text, err := config.Manifests.ReadFile("rbac/role.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the manager's role: %w", err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(text, role); err != nil {
		return nil, fmt.Errorf("reading the manager's role: %w", err)
	}
	for i := range role.Rules {
		rule := &role.Rules[i]
		rule.Verbs = slices.DeleteFunc(rule.Verbs, func(verb string) bool {
			return slices.ContainsFunc(without, func(right Right) bool {
				return right.Verb == verb && slices.Contains(rule.APIGroups, right.Group) &&
					slices.Contains(rule.Resources, right.Resource)
			})
		})
	}
	role.Rules = slices.DeleteFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return len(rule.Verbs) == 0 })
	role.Name = name
	return role, nil
}

// CreateNamespace creates namespace with what a controller would put in it for
// pods to be admitted.
func (s *Server) CreateNamespace(ctx context.Context, namespace *corev1.Namespace) error {
	if err := s.Create(ctx, namespace); err != nil {
		return fmt.Errorf("creating namespace %s: %w", namespace.Name, err)
	}
	account := &corev1.ServiceAccount{
		ObjectMeta:                   metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"},
		AutomountServiceAccountToken: new(false),
	}
	if err := s.Create(ctx, account); err != nil {
		return fmt.Errorf("creating the ServiceAccount of namespace %s: %w", namespace.Name, err)
	}
	return nil
}
