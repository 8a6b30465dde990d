package pager

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// listWatch is that of a server that streams no lists.
func listWatch(s *server) *toolscache.ListWatch {
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if options.ResourceVersion != "" || options.LabelSelector != "" {
				return nil, errors.New("another list was to be asked for")
			}
			list := &metav1.PartialObjectMetadataList{}
			err := s.List(ctx, list, &client.ListOptions{Limit: options.Limit, Continue: options.Continue})
			return list, err
		},
		WatchFuncWithContext: func(_ context.Context, options metav1.ListOptions) (watch.Interface, error) {
			if options.SendInitialEvents != nil {
				return nil, apierrors.NewBadRequest("sendInitialEvents is forbidden")
			}
			return watch.NewFake(), nil
		},
	}
}

func pruneFiller(object any) (any, error) {
	if metadata, is := object.(*metav1.PartialObjectMetadata); is {
		metadata.Annotations = nil
	}
	return object, nil
}

// The first list of an informer is paged by bytes too, and pruned page by page.
func TestInformerLists(t *testing.T) {
	const objects = 60
	s := &server{sizes: sizesOf(objects, 1_400_000)}
	newInformer := Informers(NewGate(DefaultBytes), func(runtime.Object) toolscache.TransformFunc { return pruneFiller })
	informer := newInformer(listWatch(s), &metav1.PartialObjectMetadata{}, time.Hour, nil)
	if err := informer.SetTransform(pruneFiller); err != nil {
		t.Fatal(err)
	}
	go informer.RunWithContext(t.Context())
	if !toolscache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
		t.Fatal("not synced")
	}
	var got []string
	for _, object := range informer.GetStore().List() {
		metadata, is := object.(*metav1.PartialObjectMetadata)
		if !is || metadata.Annotations != nil {
			t.Fatalf("%T is cached whole", object)
		}
		got = append(got, metadata.Name)
	}
	if slices.Sort(got); !slices.Equal(got, wantNames(objects)) {
		t.Errorf("%d objects are cached", len(got))
	}
	if most := slices.Max(s.read); most > mostRead {
		t.Errorf("%d bytes of an answer were read", most)
	}
	if got := informer.LastSyncResourceVersion(); got != "7" {
		t.Errorf("the watch begins at %q", got)
	}
}

// A list that changed while it was read is no state to watch from.
func TestInformerListExpires(t *testing.T) {
	s := &server{sizes: sizesOf(60, 1000), before: func(options *client.ListOptions) error {
		if options.Continue != "" {
			return expired("25")
		}
		return nil
	}}
	_, err := informerLister{list: listWatch(s).ListWithContextFunc}.all(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("got %v", err)
	}
}

func TestInformerTransformFails(t *testing.T) {
	broken := errors.New("broken")
	lister := informerLister{
		list:      listWatch(&server{sizes: sizesOf(60, 1000)}).ListWithContextFunc,
		transform: func(any) (any, error) { return nil, broken },
	}
	if _, err := lister.all(t.Context(), metav1.ListOptions{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
