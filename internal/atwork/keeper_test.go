package atwork

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/setaside"
)

const longest = 10 * time.Minute

// server is an API server with the Lease.
type server struct {
	client.Client

	mu     sync.Mutex
	writes []time.Time
	// answer is what each request is answered with; nil: it succeeds.
	answer func(context.Context) error
}

func newServer() *server {
	s := &server{}
	wrote := func(ctx context.Context, write func() error) error {
		s.mu.Lock()
		s.writes = append(s.writes, time.Now())
		answer := s.answer
		s.mu.Unlock()
		if answer != nil {
			return answer(ctx)
		}
		return write()
	}
	s.Client = fake.NewClientBuilder().WithScheme(scheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return wrote(ctx, func() error { return c.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return wrote(ctx, func() error { return c.Update(ctx, object, options...) })
		},
	}).Build()
	return s
}

func (s *server) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.writes)
}

// record returns what the Lease says.
func (s *server) record(t interface{ Fatal(...any) }) setaside.Record {
	lease := &coordinationv1.Lease{}
	if err := s.Get(context.Background(), client.ObjectKey{Namespace: "ns", Name: api.AtWorkLease}, lease); err != nil {
		t.Fatal(err)
	}
	record := setaside.Decode(lease.Annotations[api.AtWorkAnnotation])
	record.Holder = holderOf(lease)
	return record
}

// process is a manager with a Keeper.
type process struct {
	*Keeper

	stop func()
}

// start starts a process, which is killed or stopped by the test.
func (s *server) start(holder string) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{Keeper: New(s, Options{Namespace: "ns", Holder: holder, Longest: longest, Clock: clock.RealClock{}})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = p.Start(ctx)
	}()
	synctest.Wait()
	p.stop = func() {
		cancel()
		<-ended
	}
	return p
}

// kill ends a process without its being asked to: the Lease stays as it is.
func (s *server) kill(p *process) {
	s.mu.Lock()
	s.answer = func(context.Context) error { return apierrors.NewServiceUnavailable("the process is dead") }
	s.mu.Unlock()
	p.stop()
	s.mu.Lock()
	s.answer = nil
	s.mu.Unlock()
}

func (p *process) begin(t *testing.T, job types.UID) *Turn {
	t.Helper()
	turn, err := p.Begin(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

// begun begins to handle a Job beside the test and tells when it has its turn.
func (p *process) begun(t *testing.T, job types.UID) <-chan *Turn {
	turns := make(chan *Turn, 1)
	go func() { turns <- p.begin(t, job) }()
	synctest.Wait()
	return turns
}

func given(turns <-chan *Turn) bool {
	synctest.Wait()
	return len(turns) > 0
}

// killedWith leaves a Lease of processes that were killed while they handled Jobs.
func (s *server) killedWith(t *testing.T, times int, jobs ...types.UID) {
	t.Helper()
	for i := range times {
		p := s.start(fmt.Sprint("killed-", jobs, i))
		for _, job := range jobs {
			for p.begin(t, job).After > 0 {
				time.Sleep(time.Second) //nolint:forbidigo // in a bubble
			}
		}
		pause(2 * interval)
		s.kill(p)
	}
}

func pause(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in a bubble
	synctest.Wait()
}

func TestShortPassesAreNotNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		p := s.start("one")
		before := s.written()
		for i := range 1000 {
			turn := p.begin(t, types.UID(fmt.Sprint(i)))
			pause(10 * time.Millisecond)
			turn.End()
		}
		if n := s.written() - before; n > 0 {
			t.Errorf("%d writes of passes of 10 ms", n)
		}
		turn := p.begin(t, "long")
		pause(2*interval + time.Millisecond)
		if got := s.record(t).AtWork; !slices.Equal(got, []types.UID{"long"}) {
			t.Errorf("noted are %v", got)
		}
		pause(time.Minute)
		turn.End()
		pause(2 * interval)
		if got := s.record(t); len(got.AtWork) > 0 || s.written()-before != 2 {
			t.Errorf("got %+v after %d writes, want one for its beginning and one for its end", got, s.written()-before)
		}
		p.stop()
		if got := s.record(t); got.Holder != "" {
			t.Errorf("got %+v after an end in order", got)
		}
	})
}

func TestAtMostOneWriteASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.killedWith(t, 1, "a")
		p := s.start("two")
		for i := range 500 {
			go func() {
				turn := p.begin(t, types.UID(fmt.Sprint(i)))
				time.Sleep(time.Duration(i%7) * 300 * time.Millisecond) //nolint:forbidigo // in a bubble
				turn.End()
			}()
		}
		pause(time.Minute)
		p.stop()
		for i := 1; i < len(s.writes)-1; i++ { // the last one is the end
			if d := s.writes[i].Sub(s.writes[i-1]); d < interval && i > 4 {
				t.Errorf("writes %d and %d are %s apart", i-1, i, d)
			}
		}
	})
}

// After a kill each Job is noted before it has its turn, so that one is noted that
// ends the process at once.
func TestAfterAKillJobsAreNotedFirst(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		jobs := rapid.SliceOfNDistinct(rapid.IntRange(0, 1000), 1, 50, rapid.ID).Draw(rt, "jobs")
		synctest.Test(t, func(t *testing.T) {
			s := newServer()
			killed := s.start("one")
			s.kill(killed)
			p := s.start("two")
			for _, n := range jobs {
				go func() {
					job := types.UID(fmt.Sprint(n))
					turn := p.begin(t, job)
					if noted := s.record(t).AtWork; !slices.Contains(noted, job) {
						t.Errorf("%s has its turn, noted are %v", job, noted)
					}
					time.Sleep(time.Duration(n) * 10 * time.Millisecond) //nolint:forbidigo // in a bubble
					turn.End()
				}()
			}
			pause(time.Minute)
			p.stop()
		})
	})
}

func TestCareIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.kill(s.start("one"))
		p := s.start("two")
		if given(p.begun(t, "a")) {
			t.Error("a Job has its turn before it is noted")
		}
		pause(carefulFor)
		if !given(p.begun(t, "b")) {
			t.Error("a Job is noted first, long after the kill")
		}
		p.stop()
	})
}

func TestASetAsideJobIsHandledAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.killedWith(t, 2, "culprit")
		p := s.start("three")
		pause(carefulFor)
		other := p.begin(t, "other")
		if turn := p.begin(t, "culprit"); turn.After == 0 || !turn.SetAside() {
			t.Fatalf("got %+v beside another Job", turn)
		}
		other.End()
		culprit := p.begun(t, "culprit")
		pause(interval)
		if !given(culprit) || !slices.Equal(s.record(t).AtWork, []types.UID{"culprit"}) {
			t.Fatalf("it has no turn, or is not noted: %+v", s.record(t))
		}
		waits := p.begun(t, "another")
		if given(waits) {
			t.Error("another Job is handled beside it")
		}
		(<-culprit).End()
		if !given(waits) {
			t.Error("others wait after its end")
		}
		p.Forgive("culprit")
		pause(interval)
		if got := s.record(t); len(got.Ended) > 0 {
			t.Errorf("its ends are remembered though it is stored: %+v", got)
		}
		p.stop()
	})
}

// A Job that is set aside is handled in the end where there are always others, and
// they wait for it for a while only.
func TestASetAsideJobIsHandledInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.killedWith(t, 2, "culprit")
		p := s.start("three")
		pause(carefulFor)
		p.begin(t, "endless")
		began := time.Now()
		for p.begin(t, "culprit").After > 0 {
			pause(askAgain)
		}
		if took := time.Since(began); took < longest || took > longest+endFor+2*interval {
			t.Errorf("it has its turn after %s", took)
		}
		began = time.Now()
		p.begin(t, "other")
		if took := time.Since(began); took > aloneFor {
			t.Errorf("others wait %s", took)
		}
		p.stop()
	})
}

func TestOneSuspectAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.killedWith(t, 1, "a", "b", "c")
		p := s.start("two")
		a := p.begin(t, "a")
		if p.begin(t, "b").After == 0 || p.begin(t, "innocent").After > 0 {
			t.Error("two suspects at a time, or others wait")
		}
		a.End()
		if p.begin(t, "b").After > 0 {
			t.Error("the next suspect waits")
		}
		s.kill(p)
		p = s.start("three")
		if p.begin(t, "a").SetAside() || p.begin(t, "innocent").SetAside() || !p.begin(t, "b").SetAside() {
			t.Errorf("got %+v", s.record(t))
		}
		p.stop()
	})
}

// However long after the kill, a suspect is noted before it is handled, and one that
// is set aside leaves others some time between its turns.
func TestSuspectsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.killedWith(t, 1, "suspect")
		s.killedWith(t, 2, "culprit")
		p := s.start("last")
		pause(carefulFor + interval/2)
		suspect := p.begun(t, "suspect")
		if given(suspect) {
			t.Error("a suspect has its turn before it is noted")
		}
		pause(interval)
		(<-suspect).End()
		culprit := p.begun(t, "culprit")
		pause(interval)
		(<-culprit).End()
		if after := p.begin(t, "culprit").After; after < pauseAlone/2 || after > pauseAlone {
			t.Errorf("its next turn is %s later", after)
		}
		pause(pauseAlone)
		if turn := p.begin(t, "culprit"); turn.After > 0 {
			t.Errorf("got %+v", turn)
		}
		p.stop()
	})
}

// A Lease that cannot be written holds nothing up.
func TestTroubleWithTheLease(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "leases"}, api.AtWorkLease, nil)
	for name, test := range map[string]struct {
		answer func(context.Context) error
		wait   time.Duration
		writes int
	}{
		"forbidden": {func(context.Context) error { return forbidden }, 0, 2},
		"away":      {func(context.Context) error { return apierrors.NewServiceUnavailable("away") }, openAfter, 63},
		"hangs": {func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, openAfter + writeTimeout, 14},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer()
				s.answer = test.answer
				p := s.start("one")
				pause(test.wait)
				if !given(p.begun(t, "a")) {
					t.Errorf("no turn after %s", test.wait)
				}
				pause(refusedRetry + time.Second - test.wait)
				if n := s.written(); n > test.writes {
					t.Errorf("%d tries in a minute", n)
				}
				p.stop()
			})
		})
	}
}

// Somebody deletes the Lease, or edits it: the note is there again. Another process
// takes over: its note stays.
func TestTheLeaseIsChangedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		p := s.start("one")
		lease := &coordinationv1.Lease{}
		key := client.ObjectKey{Namespace: "ns", Name: api.AtWorkLease}
		get := func() {
			if err := s.Get(t.Context(), key, lease); err != nil {
				t.Fatal(err)
			}
		}
		get()
		if err := s.Delete(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		p.begin(t, "a")
		pause(4 * interval)
		if got := s.record(t); !slices.Equal(got.AtWork, []types.UID{"a"}) || got.Holder != "one" {
			t.Errorf("got %+v after it was deleted", got)
		}
		get()
		lease.Annotations[api.AtWorkAnnotation] = "{"
		if err := s.Update(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		p.begin(t, "b")
		pause(4 * interval)
		if got := s.record(t); !slices.Equal(got.AtWork, []types.UID{"a", "b"}) {
			t.Errorf("got %+v after it was edited", got)
		}
		other := s.start("two")
		p.begin(t, "c")
		pause(4 * interval)
		p.stop()
		if got := s.record(t); got.Holder != "two" || len(got.AtWork) > 0 {
			t.Errorf("got %+v: the process before writes still", got)
		}
		other.stop()
	})
}

// The answer to a note is lost: the next note is written all the same, and so is the
// end.
func TestLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		p := s.start("one")
		lose := func() {
			lease := &coordinationv1.Lease{}
			if err := s.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: api.AtWorkLease}, lease); err != nil {
				t.Fatal(err)
			}
			lease.Labels = map[string]string{"changed": fmt.Sprint(time.Now().Unix())}
			if err := s.Update(t.Context(), lease); err != nil {
				t.Fatal(err)
			}
		}
		lose()
		p.begin(t, "a")
		pause(4 * interval)
		if got := s.record(t); !slices.Equal(got.AtWork, []types.UID{"a"}) {
			t.Errorf("got %+v", got)
		}
		lose()
		p.stop()
		if got := s.record(t); got.Holder != "" || len(got.AtWork) > 0 {
			t.Errorf("got %+v after an end in order", got)
		}
	})
}

func TestNoKeeper(t *testing.T) {
	var k *Keeper
	turn, err := k.Begin(t.Context(), "a")
	if err != nil || turn.After > 0 || turn.SetAside() {
		t.Errorf("got %+v, %v", turn, err)
	}
	turn.End()
	k.Forgive("a")
}
