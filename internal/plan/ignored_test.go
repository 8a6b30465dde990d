package plan

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestHasExit(t *testing.T) {
	const in, notIn = batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn
	ended := func(name string, code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
	}
	running := corev1.ContainerStatus{Name: "main", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	wanted := func(operator batchv1.PodFailurePolicyOnExitCodesOperator, container *string) *batchv1.PodFailurePolicyOnExitCodesRequirement {
		return &batchv1.PodFailurePolicyOnExitCodesRequirement{ContainerName: container, Operator: operator, Values: []int32{7, 42}}
	}
	for name, test := range map[string]struct {
		wanted   *batchv1.PodFailurePolicyOnExitCodesRequirement
		statuses []corev1.ContainerStatus
		want     bool
	}{
		"no container":                {wanted(in, nil), nil, false},
		"a listed code":               {wanted(in, nil), []corev1.ContainerStatus{ended("main", 42)}, true},
		"another code":                {wanted(in, nil), []corev1.ContainerStatus{ended("main", 1)}, false},
		"a code that is not listed":   {wanted(notIn, nil), []corev1.ContainerStatus{ended("main", 1)}, true},
		"one that is":                 {wanted(notIn, nil), []corev1.ContainerStatus{ended("main", 7)}, false},
		"success is never meant":      {wanted(notIn, nil), []corev1.ContainerStatus{ended("main", 0)}, false},
		"still running":               {wanted(notIn, nil), []corev1.ContainerStatus{running}, false},
		"the second container":        {wanted(in, nil), []corev1.ContainerStatus{running, ended("side", 7)}, true},
		"the container that is named": {wanted(in, new("main")), []corev1.ContainerStatus{ended("side", 1), ended("main", 7)}, true},
		"another container":           {wanted(in, new("main")), []corev1.ContainerStatus{ended("side", 7)}, false},
		"an unknown operator":         {wanted("Above", nil), []corev1.ContainerStatus{ended("main", 42)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hasExit(test.wanted, test.statuses); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestCountOfIndexes(t *testing.T) {
	const most = 1<<63 - 1
	for name, test := range map[string]struct {
		list        string
		limit, want int
	}{
		"none":              {"", 3, 0},
		"fewer":             {"0,2-3", 4, 3},
		"as many":           {"0,2-3", 3, 3},
		"more":              {"0,2-9", 3, 3},
		"billions":          {"0-9223372036854775806", 5, 5},
		"none are asked":    {"0,2-3", 0, 0},
		"without any limit": {"1-4,6", most, 5},
	} {
		t.Run(name, func(t *testing.T) {
			if got := parseIndexes(test.list).count(test.limit); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
