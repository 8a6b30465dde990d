package e2e

import (
	"flag"
	"os"
	"testing"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// TestMain lets all stories run at the same time, whatever the number of
// processors: they wait far more than they compute. When each begins is up to pace.
func TestMain(m *testing.M) {
	flag.Parse()
	ctrllog.SetLogger(logr.Discard())
	if err := flag.Set("test.parallel", "100"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// stories are those told while the manager is there all the time.
var stories = []struct {
	name string
	tell func(*story)
}{
	{"installed", installed},
	{"success", success},
	{"failure", failure},
	{"never-started", neverStarted},
	{"deadline", deadline},
	{"deadline-ignored", deadlineIgnored},
	{"deadline-followed", deadlineFollowed},
	{"backoff-limit", backoffLimit},
	{"attempt-deleted", attemptDeleted},
	{"suspended-at-work", suspendedAtWork},
	{"crew-deleted", crewDeleted},
	{"evicted", evicted},
	{"parallel-failure", parallelFailure},
	{"large-log-deleted", largeLogDeleted},
	{"pod-failure-policy", podFailurePolicy},
	{"success-policy", successPolicy},
	{"preempted", preempted},
	{"preempted-for-good", preemptedForGood},
	{"long-goodbye", longGoodbye},
	{"no-retry", noRetry},
	{"evicted-by-kubelet", evictedByKubelet},
	{"followed-and-evicted", followedAndEvicted},

	{"several-pods", severalPods},
	{"indexed", indexed},
	{"retried-pod", retriedPod},
	{"restarted-container", restartedContainer},
	{"many-containers", manyContainers},
	{"failed-init", failedInit},
	{"manual-selector", manualSelector},
	{"debugged", debugged},

	{"suspended", suspended},
	{"labelled-late", labelledLate},
	{"generated-name", generatedName},
	{"recreated", recreated},
	{"deleted-later", deletedLater},

	{"cronjob", cronJob},
	{"history-zero", historyZero},
	{"history-overtaken", historyOvertaken},
	{"owned", owned},
	{"tracked", tracked},

	{"opted-out", optedOut},
	{"opted-in-itself", optedInItself},
	{"namespace-annotation", namespaceAnnotation},
	{"invalid-annotation", invalidAnnotation},
	{"isolation", isolation},
	{"namespace-deleted", namespaceDeleted},

	{"protected-deleted", protectedDeleted},
	{"protected-namespace-deleted", protectedNamespaceDeleted},

	{"status-only", statusOnly},
	{"binary-output", binaryOutput},
	{"large-log", largeLog},
	{"name-taken", nameTaken},
	{"own-results", ownResults},
	{"reports", documented},
	{"redacted", redacted},
	{"in-secret", inSecret},
	{"expired", expired},
	{"unstable-container", unstableContainer},
	{"rotated-log", rotatedLog},

	{"why-crashed", whyCrashed},
	{"why-no-pod", whyNoPod},
	{"why-never-ran", whyNeverRan},

	{"lives", livesWhole},
	{"short-lives", shortLives},
	{"restart-rules", restartRules},
	{"restarting-all", restartingAll},
}

// interruptions are the stories in which the manager is killed and is away for
// a while.
var interruptions = []struct {
	name string
	tell func(*story, *downtime)
}{
	{"ran-while-down", ranWhileDown},
	{"ttl-zero-while-down", ttlZeroWhileDown},
	{"killed-at-work", killedAtWork},
	{"spilled", spilled},
	{"unspilled", unspilled},
	{"protected-while-down", protectedWhileDown},
	{"lives-while-down", livesWhileDown},
}

func TestStories(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the stories need root: their containers run on this machine")
	}
	w := newWorld(t)
	p := newPace(w)
	t.Run("up", func(t *testing.T) {
		for _, told := range stories {
			t.Run(told.name, func(t *testing.T) {
				t.Parallel()
				p.begin(t, told.name)
				told.tell(newStory(t, w, told.name))
			})
		}
	})
	p.report()
	t.Run("down", func(t *testing.T) {
		p := newPace(w)
		d := newDowntime()
		for _, told := range interruptions {
			t.Run(told.name, func(t *testing.T) {
				d.join(t)
				t.Parallel()
				p.begin(t, told.name)
				told.tell(newStory(t, w, told.name), d)
			})
		}
		d.run(t, w)
	})
	t.Run("after", func(t *testing.T) {
		t.Run("nothing-left-to-do", func(t *testing.T) { nothingLeftToDo(t, w) })
		t.Run("rights", func(t *testing.T) { rightsAreUsed(t, w) })
		t.Run("events", func(t *testing.T) { eventsAreListed(t, w) })
		t.Run("uninstalled", func(t *testing.T) { uninstalled(t, w) })
		t.Run("log", func(t *testing.T) { logIsClean(t, w) })
	})
}
