package pager

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mostRead is what is read of an answer at most: it is given up with the piece that is
// too much.
const mostRead = mostPageBytes + 64<<10

// Small objects come in few requests.
func TestRequests(t *testing.T) {
	for name, test := range map[string]struct {
		sizes  []int
		expect int
		most   int
	}{
		"none":                    {nil, 0, 1},
		"one":                     {sizesOf(1, 1000), 0, 1},
		"25":                      {sizesOf(25, 1000), 0, 1},
		"100 that are expected":   {sizesOf(100, 2000), 100, 1},
		"10,000 results":          {sizesOf(10_000, 1500), 0, 23},
		"10,000 of 4 KiB":         {sizesOf(10_000, 4<<10), 0, 45},
		"25 of 60 KiB":            {sizesOf(25, 60<<10), 0, 4},
		"500 of 1 MiB":            {sizesOf(500, 1<<20), 0, 510},
		"small ones, then a few":  {append(sizesOf(5000, 1000), sizesOf(20, 1<<20)...), 0, 60},
		"one of more than a page": {sizesOf(1, mostPageBytes+1), 0, 6},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{sizes: test.sizes}
			q := query()
			q.Expect = test.expect
			got, err := names(t.Context(), s, q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantNames(len(test.sizes)), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if len(s.asked) > test.most {
				t.Errorf("%d requests, for %v objects", len(s.asked), s.asked)
			}
		})
	}
}

// Whatever the sizes, and in whichever order: each object is visited once, no answer
// is read much further than a page may be, and requests are bounded by bytes.
func TestPagesAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sizes []int
		for range rapid.IntRange(0, 12).Draw(t, "runs") {
			size := rapid.SampledFrom([]int{10, 1000, 20_000, 300_000, 1_000_000, 1_500_000}).Draw(t, "size")
			sizes = append(sizes, sizesOf(rapid.IntRange(1, 700).Draw(t, "objects"), size)...)
		}
		s := &server{sizes: sizes}
		q := query()
		q.Expect = rapid.IntRange(0, 1000).Draw(t, "expect")
		got, err := names(t.Context(), s, q)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, wantNames(len(sizes))) {
			t.Fatalf("%d of %d objects", len(got), len(sizes))
		}
		bytes := 0
		for i, size := range sizes {
			bytes += objectOf(i, size).Size()
		}
		if most := slices.Max(append(s.read, 0)); most > mostRead {
			t.Fatalf("%d bytes of an answer were read", most)
		}
		if most := 80 + len(sizes)/100 + 2*bytes/(pageBytes/2); len(s.asked) > most {
			t.Fatalf("%d requests for %d objects of %d bytes, want %d at most", len(s.asked), len(sizes), bytes, most)
		}
	})
}

// Without a Transport the sizes of objects are all that is known.
func TestSizesAreEstimated(t *testing.T) {
	p := newPages(query())
	p.took(25, 25*sizeOf(objectOf(0, 100_000)))
	if got := p.options.Limit; got != 10 {
		t.Errorf("%d objects of 100 KB are asked for", got)
	}
}

func TestTooLargeAnObject(t *testing.T) {
	s := &server{sizes: sizesOf(1, mostObjectBytes)}
	if _, err := names(t.Context(), s, query()); !errors.Is(err, errTooLarge) {
		t.Errorf("got %v", err)
	}
}

func expired(next string) error {
	err := apierrors.NewResourceExpired("the provided continue parameter is too old")
	err.ErrStatus.Continue = next
	return err
}

// A list that takes so long that the API server forgets its state goes on where it
// was, if the API server says how.
func TestExpired(t *testing.T) {
	for name, test := range map[string]struct {
		next       string
		consistent bool
		fails      bool
	}{
		"with a token":               {next: "025"},
		"without one":                {fails: true},
		"where one state is wanted":  {next: "25", consistent: true, fails: true},
		"with the one that was used": {next: "old", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{sizes: sizesOf(300, 1000)}
			failed := false
			s.before = func(options *client.ListOptions) error {
				if options.Continue == "25" && !failed {
					failed = true
					return expired(test.next)
				}
				return nil
			}
			if test.next == "old" {
				s.before = func(options *client.ListOptions) error {
					if options.Continue != "" {
						return expired(options.Continue)
					}
					return nil
				}
			}
			q := query()
			q.Consistent = test.consistent
			got, err := names(t.Context(), s, q)
			if test.fails {
				if !apierrors.IsResourceExpired(err) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || !slices.Equal(got, wantNames(300)) {
				t.Errorf("%d objects, %v", len(got), err)
			}
		})
	}
}

// A page is pruned before the first of its objects is visited, and the gate is free by
// then.
func TestPrune(t *testing.T) {
	s := &server{sizes: sizesOf(60, 1000)}
	gate := NewGate(mostPageBytes)
	pruned, visited := 0, 0
	q := query()
	q.Prune = func(object client.Object) {
		if pruned++; object.GetManagedFields()[0] != (metav1.ManagedFieldsEntry{Manager: "kubectl"}) {
			t.Error("an object has managed fields")
		}
		object.SetAnnotations(nil)
	}
	err := Lister{Live: s, Gate: gate}.Each(t.Context(), q, func(object client.Object) error {
		if visited == 0 && pruned != firstObjects || object.GetAnnotations() != nil || gate.free != gate.total {
			t.Fatalf("visited with %d pruned, %d of %d bytes free", pruned, gate.free, gate.total)
		}
		visited++
		return nil
	})
	if err != nil || visited != 60 || pruned != 60 {
		t.Errorf("%d visited, %d pruned, %v", visited, pruned, err)
	}
}

func TestErrors(t *testing.T) {
	refused := errors.New("refused")
	gate := NewGate(mostPageBytes)
	t.Run("of the API server", func(t *testing.T) {
		s := &server{before: func(*client.ListOptions) error { return refused }}
		err := Lister{Live: s, Gate: gate}.Each(t.Context(), query(), nil)
		if !errors.Is(err, refused) || len(s.asked) != 1 {
			t.Errorf("got %v after %d requests", err, len(s.asked))
		}
	})
	t.Run("of the visitor", func(t *testing.T) {
		s := &server{sizes: sizesOf(300, 1000)}
		err := Lister{Live: s, Gate: gate}.Each(t.Context(), query(), func(client.Object) error { return refused })
		if !errors.Is(err, refused) || len(s.asked) != 1 {
			t.Errorf("got %v after %d requests", err, len(s.asked))
		}
	})
	if gate.free != gate.total {
		t.Errorf("%d of %d bytes are free", gate.free, gate.total)
	}
}

func TestMetadata(t *testing.T) {
	want := metav1.TypeMeta{Kind: "ConfigMapList", APIVersion: "v1"}
	list, is := query().List.(*metav1.PartialObjectMetadataList)
	if !is || list.TypeMeta != want {
		t.Errorf("got %s", fmt.Sprint(query().List))
	}
}
