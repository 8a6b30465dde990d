package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

// managerProgram is how the manager's container calls it.
const managerProgram = "/job-handler"

// signal sends a signal to the manager's process in a pod of this machine.
func signal(pod *corev1.Pod, sig syscall.Signal) error {
	id, err := processOf(pod)
	if err != nil {
		return err
	}
	return syscall.Kill(id, sig)
}

// processOf returns the process of the manager in a pod: one that is called so
// and is in the pod's control group.
func processOf(pod *corev1.Pod) (int, error) {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, path := range commands {
		command, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(command, []byte(managerProgram+"\x00")) {
			continue
		}
		groups, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cgroup"))
		if err != nil || !bytes.Contains(groups, []byte(pod.UID)) {
			continue
		}
		return strconv.Atoi(filepath.Base(filepath.Dir(path)))
	}
	return 0, fmt.Errorf("no process of pod %s is there", pod.Name)
}
