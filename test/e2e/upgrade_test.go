package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/job-handler/job-handler/internal/api"
)

// earlier is a commit whose manager knows neither protection nor stored captures
// nor retention, and whose manifests have fewer policies and rights. People who
// have it installed apply the manifests of now over it, and may have to go back.
const earlier = "5fac6560e7127378e5a9433e649e97ca39413e00"

// TestUpgrade: one version is put in the place of another, and back, with Jobs at
// every stage.
func TestUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("upgrades take minutes: make test-operations")
	}
	if os.Geteuid() != 0 {
		t.Skip("upgrades need root: their containers run on this machine")
	}
	source := earlierSource(t)
	w, archive := newCluster(t)
	for _, archive := range []string{archive, buildEarlier(t, source)} {
		if err := w.cluster.LoadArchive(t.Context(), archive); err != nil {
			t.Fatal(err)
		}
	}
	u := &upgrade{earlier: rendered(t, w, source, "earlier"), now: rendered(t, w, moduleRoot, "e2e")}
	w.newDeployment()
	w.tell(t, []told{
		{"upgraded", u.upgraded},
		{"downgraded", u.downgraded},
		{"upgraded-again", u.upgradedAgain},
	})
	t.Run("uninstalled", func(t *testing.T) { uninstalled(t, w) })
}

// earlierSource returns a folder with the files of the earlier commit.
func earlierSource(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	// Clones of a workflow may have no history, and belong to somebody else.
	archive := exec.CommandContext(t.Context(), "git", "-c", "safe.directory=*", "archive", "--output="+folder+".tar", earlier)
	archive.Dir = moduleRoot
	if output, err := archive.CombinedOutput(); err != nil {
		t.Skipf("commit %s is not in this clone (git fetch --unshallow): %v\n%s", earlier, err, output)
	}
	if output, err := exec.CommandContext(t.Context(), "tar", "-C", folder, "-xf", folder+".tar").CombinedOutput(); err != nil {
		t.Fatalf("unpacking commit %s: %v\n%s", earlier, err, output)
	}
	return folder
}

// buildEarlier returns the archive of the image that is built from the source.
func buildEarlier(t *testing.T, source string) string {
	t.Helper()
	archive := filepath.Join(source, "image.tar")
	args := append(imageArgs(archive, "localhost/job-handler:earlier", "v1.2.2-earlier"), "--root", source)
	if err := inFolder(t.Context(), moduleRoot, "go", args...); err != nil {
		t.Fatal(err)
	}
	return archive
}

func rendered(t *testing.T, w *world, source, tag string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := w.render(t.Context(), source, tag)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// upgrade has the objects of both versions.
type upgrade struct {
	earlier, now []*unstructured.Unstructured
	// kept is a Job that failed under the earlier version, and its results.
	kept    *batchv1.Job
	results *corev1.ConfigMap
	// waiting is suspended all along.
	waiting *batchv1.Job
}

// install puts a version in the place of the one that is there, and waits until
// it works.
func (u *upgrade) install(s *story, objects []*unstructured.Unstructured) {
	s.t.Helper()
	s.w.manager.objects = objects
	s.Expect(within(s.ctx(), func(ctx context.Context) error {
		return s.w.manager.deploy(ctx, objects)
	})).To(Succeed())
	s.allReady()
}

// upgraded: what the earlier version stored stays as it is, what it began is
// brought to its end, and nothing is lost or doubled of what finishes meanwhile.
func (u *upgrade) upgraded(s *story) {
	u.install(s, u.earlier)
	s.optedIn()
	jobs := s.stream()
	u.kept = s.start(s.job("kept", "echo of the earlier version; exit 1"))
	u.kept = s.reported(u.kept)
	u.results = s.stored(u.kept).ConfigMap
	u.waiting = s.start(s.job("waiting", "echo resumed").Suspended())
	held := s.start(s.gated("held", "upgraded", 0, 0).TTL(0))
	s.running(held, 1)
	s.enoughStored()

	u.install(s, u.now)
	s.open("upgraded")
	s.gone(held)
	s.Expect(s.stored(held).texts()).To(HaveExactElements("held through\n"))
	s.enoughStored()
	s.settled(jobs(), u.kept, held)
	u.untouched(s)
}

// downgraded: the earlier version works with what is left of the later one, and
// what it does not know holds nobody up once that is released.
func (u *upgrade) downgraded(s *story) {
	s.optedIn()
	jobs := s.stream()
	held := s.start(s.gated("held", "downgraded", 0, 0).TTL(0))
	protected := s.start(s.protected("protected", "until [ -e /gate/downgraded ]; do sleep 1; done; echo protected through").
		HostFolder(s.folder("gates"), "/gate"))
	s.running(held, 1)
	s.running(protected, 1)
	s.Expect(protected.Finalizers).To(ConsistOf(api.ResultsFinalizer))

	u.install(s, u.earlier)
	s.open("downgraded")
	s.gone(held)
	s.Expect(s.stored(held).texts()).To(HaveExactElements("held through\n"))
	// Its results are stored and it is deleted, but nobody takes the finalizer away.
	s.eventually(func(g Gomega) { g.Expect(s.now(g, protected).DeletionTimestamp).NotTo(BeNil()) })
	s.Expect(s.stored(protected).texts()).To(HaveExactElements("protected through\n"))
	s.Expect(s.now(s, protected).Finalizers).To(ConsistOf(api.ResultsFinalizer))
	release(s, "--deleting")
	s.gone(protected)
	s.enoughStored()
	s.settled(jobs(), held, protected)
	u.untouched(s)
}

// upgradedAgain: the way there can be gone again, and a Job that was suspended
// all the time runs in the end.
func (u *upgrade) upgradedAgain(s *story) {
	u.install(s, u.now)
	u.untouched(s)
	s.namespace = u.waiting.Namespace
	s.refresh(u.waiting)
	s.change(u.waiting, func() { u.waiting.Spec.Suspend = new(false) })
	s.gone(u.waiting)
	s.Expect(s.stored(u.waiting).texts()).To(HaveExactElements("resumed\n"))
}

// untouched wants the results of the earlier version, and the Job that they are
// about, to be as they were.
func (u *upgrade) untouched(s *story) {
	s.t.Helper()
	namespace := s.namespace
	defer func() { s.namespace = namespace }()
	s.namespace = u.kept.Namespace
	now := s.now(s, u.kept)
	s.Expect(now.ResourceVersion).To(Equal(u.kept.ResourceVersion))
	s.Expect(s.stored(u.kept).ResourceVersion).To(Equal(u.results.ResourceVersion))
	s.Expect(s.told(u.kept, corev1.EventTypeWarning)).To(HaveLen(1))
}

// enoughStored waits until there are enough results to tell by.
func (s *story) enoughStored() {
	s.t.Helper()
	before := len(s.storedHere(s))
	s.eventually(func(g Gomega) { g.Expect(len(s.storedHere(g))).To(BeNumerically(">", before+10)) })
}
