package podlogs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// TODO(seam): goes with the store.

var sizes = []int{api.MaxResultsBytes, 256 << 10, results.MinBytes}

func (k *Keeper) sizes() []int {
	most := k.Options.MaxResultsBytes
	if most == 0 {
		return sizes
	}
	smaller := slices.DeleteFunc(slices.Clone(sizes), func(size int) bool { return size >= most })
	return append([]int{most}, smaller...)
}

func (k *Keeper) explain(kind, namespace string, err error) error {
	if kind != api.ResultsKindSecret || !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `resource "secrets"`) {
		return err
	}
	return fmt.Errorf("results-kind %s needs a right here: kubectl create rolebinding %s -n %s --clusterrole=%s --serviceaccount=%s:%s "+
		"(the ClusterRole comes with the component secret-results): %w", kind, api.SecretResultsRole, namespace,
		api.SecretResultsRole, k.Options.Namespace, api.ManagerName, err)
}

func conflictIfGone(kind, name string, err error) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewConflict(corev1.Resource(strings.ToLower(kind)+"s"), name, err)
	}
	return err
}

func emptyResults(kind string) client.Object {
	if kind == api.ResultsKindSecret {
		return &corev1.Secret{}
	}
	return &corev1.ConfigMap{}
}

func unlike(err error) bool {
	return errors.Is(err, results.ErrStranger) || errors.Is(err, results.ErrEarlierRun) || errors.Is(err, results.ErrDamaged)
}
