// Command job-handler is the manager: admission webhook, controllers and retention
// in one process. See --help. It builds them from flags and decides nothing about
// Jobs.
package main

import (
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
)

func main() {
	if err := newCommand().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		os.Exit(1)
	}
}
