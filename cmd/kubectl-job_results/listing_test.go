package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// forged returns a results object that anybody may make, with this job.json.
func forged(name, jobJSON string) *results.Object {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "tenant", Name: name, Labels: map[string]string{api.CreatedLabel: api.True, "large": strings.Repeat("x", 1<<10)},
			Annotations: map[string]string{"large": strings.Repeat("x", 1<<18)},
		},
		Data: map[string]string{api.DataJobJSON: jobJSON},
	}
	cm.Annotations[api.SHA256Annotation] = results.Digest(cm.Data, nil)
	return results.Decode(cm)
}

// pages is a kind whose pages are these; where an element is an error that is the
// answer, once.
type pages struct {
	kind
	answers []any
	asked   []string
}

func (p *pages) resource() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("configmaps")
}

func (p *pages) list(_ context.Context, _ string, opts metav1.ListOptions) ([]*results.Object, string, error) {
	p.asked = append(p.asked, opts.Continue)
	at := len(p.asked) - 1
	if err, failed := p.answers[at].(error); failed {
		return nil, "", fmt.Errorf("listing ConfigMaps: %w", err)
	}
	next := ""
	if at+1 < len(p.answers) {
		next = fmt.Sprintf("token %d", at)
	}
	return p.answers[at].([]*results.Object), next, nil //nolint:forcetypeassert // a test
}

func listOf(t *testing.T, list ...any) (*listing, []string, error) {
	t.Helper()
	o := &listOptions{plugin: &plugin{}, output: printFlags()}
	o.clock, o.IOStreams = clocktesting.NewFakePassiveClock(time.Now()), genericiooptions.IOStreams{Out: io.Discard, ErrOut: io.Discard}
	k := &pages{answers: list}
	found := newListing(o.output, o.clock.Now())
	err := o.read(t.Context(), &cluster{kinds: []kind{k}, asked: true}, "", time.Time{}, found)
	return found, k.asked, err
}

func namesIn(l *listing) []string {
	var all []string
	for _, r := range l.table().Rows {
		all = append(all, r.Cells[0].(string)) //nolint:forcetypeassert // a test
	}
	return all
}

// TestExpired has a list go on whose token has expired, with the one that the API
// server gives for that, and keep what it has where there is none.
func TestExpired(t *testing.T) {
	one := func(name string) []*results.Object {
		return []*results.Object{forged(name, `{"schema":"job-handler/v1"}`)}
	}
	expired := apierrors.NewResourceExpired("The provided continue parameter is too old")
	goOn := apierrors.NewResourceExpired("You can use the continue token in this response")
	goOn.ErrStatus.Continue = "inconsistent"
	found, asked, err := listOf(t, one("a"), goOn, one("b"), one("c"))
	if got := namesIn(found); err != nil || !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("%v, %v", got, err)
	}
	if want := []string{"", "token 0", "inconsistent", "token 2"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	for _, failure := range []error{expired, apierrors.NewServiceUnavailable("later"), errors.ErrUnsupported} {
		found, _, err = listOf(t, one("a"), failure)
		if got := namesIn(found); !errors.Is(err, failure) || !slices.Equal(got, []string{"a"}) {
			t.Errorf("%v, %v", got, err)
		}
	}
	// An API server that gives the same token again and again ends it.
	if _, asked, err = listOf(t, goOn, goOn); !apierrors.IsResourceExpired(err) || len(asked) != 2 {
		t.Errorf("asked for %q, %v", asked, err)
	}
}

// TestListingIsSmall has what is held of a run be its row, whatever somebody made of
// its job.json and of its metadata.
func TestListingIsSmall(t *testing.T) {
	const many, most = 50, 16 << 10
	jobJSON := `{"schema":"job-handler/v1","status":"` + strings.Repeat("x", 1<<17) + `","capture":{"why":"` + strings.Repeat("y", 1<<17) +
		`"},"pods":[{"containers":[{"kind":"main","state":{"exitCode":1}}` +
		strings.Repeat(`,{"kind":"main","state":{"state":"Terminated","exitCode":1,"reason":"Error"}}`, 1<<12) + `]}]}`
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	found := newListing(printFlags(), time.Now())
	before := heap()
	for range many {
		run, err := resultsview.Parse(forged("x", jobJSON))
		if err != nil {
			t.Fatal(err)
		}
		found.add(run)
	}
	if held := (heap() - before) / many; held > most {
		t.Errorf("%d bytes held for each run", held)
	}
	if rows := found.table().Rows; len(rows) != many || !strings.HasSuffix(rows[0].Cells[2].(string), "x...") { //nolint:forcetypeassert // a test
		t.Errorf("%d rows", len(rows))
	}
}
