package retry

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestLimiter(t *testing.T) {
	limiter := Limiter()
	one := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "team", Name: "one"}}
	other := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "team", Name: "other"}}
	const ms = time.Millisecond
	want := []time.Duration{
		100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 20000 * ms, 20000 * ms,
	}
	var got []time.Duration
	for range want {
		got = append(got, limiter.When(one))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for range 1000 {
		limiter.When(one)
	}
	if got := limiter.When(one); got != 20*time.Second {
		t.Errorf("after a thousand tries it waits %s", got)
	}
	if got := limiter.When(other); got != 100*ms {
		t.Errorf("another's first try waits %s", got)
	}
	limiter.Forget(one)
	if got := limiter.When(one); got != 100*ms {
		t.Errorf("after a success it waits %s", got)
	}
}

func TestSooner(t *testing.T) {
	for _, test := range []struct{ a, b, want time.Duration }{
		{0, 0, 0}, {0, 2, 2}, {1, 0, 1}, {1, 2, 1}, {2, 1, 1},
	} {
		if got := Sooner(test.a, test.b); got != test.want {
			t.Errorf("%d and %d: got %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
