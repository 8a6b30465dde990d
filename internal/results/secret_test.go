package results

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/job-handler/job-handler/internal/api"
)

func TestSecretHoldsWhatTheConfigMapHolds(t *testing.T) {
	run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "\x1b[1mbytes\xff\n").says("n=1"))
	content := build(t, run)
	if content.BinaryData[api.DataLogsGzip] == nil {
		t.Fatal("no logs.gz")
	}
	secret := content.Secret("batch", "report-results")
	if secret.Type != api.SecretType || secret.Immutable == nil || !*secret.Immutable {
		t.Errorf("type %s, immutable %v", secret.Type, secret.Immutable)
	}
	if diff := cmp.Diff(content.ConfigMap("batch", "report-results"), FromSecret(secret)); diff != "" {
		t.Errorf("-ConfigMap +from Secret\n%s", diff)
	}
	if err := VerifySecret(secret, run.Job, uidsOf(run.Pods)); err != nil {
		t.Error(err)
	}
}

func TestVerifySecret(t *testing.T) {
	tests := map[string]struct {
		change func(*corev1.Secret)
		want   error
	}{
		"another type":              {func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }, ErrStranger},
		"no type":                   {func(s *corev1.Secret) { s.Type = "" }, ErrStranger},
		"mutable":                   {func(s *corev1.Secret) { s.Immutable = nil }, ErrStranger},
		"a changed byte":            {func(s *corev1.Secret) { s.Data[api.DataLogs][0]++ }, ErrDamaged},
		"a changed byte of logs.gz": {func(s *corev1.Secret) { s.Data[api.DataLogsGzip][0]++ }, ErrDamaged},
		"a key more":                {func(s *corev1.Secret) { s.Data["x"] = nil }, ErrDamaged},
		"empty":                     {func(s *corev1.Secret) { *s = corev1.Secret{} }, ErrStranger},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			run := completedRun(podAt("report-abc12", 1).with("main", exited(0), "bytes\xff\n"))
			secret := build(t, run).Secret("batch", "report-results")
			tc.change(secret)
			if err := VerifySecret(secret, run.Job, nil); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}
