package adversary_test

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// attempts is how often a write is tried that the API server is too busy for.
const attempts = 20

// patient returns a client whose writes wait for a busy API server: attacks put more on
// it than a small machine can take at once.
func patient(c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			var tried bool
			return whileBusy(func() error {
				err := c.Create(ctx, object, options...)
				if tried && apierrors.IsAlreadyExists(err) {
					// The server made it after it had said that it was too busy.
					return c.Get(ctx, client.ObjectKeyFromObject(object), object)
				}
				tried = true
				return err
			})
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, options ...client.SubResourceUpdateOption) error {
			var tried bool
			return whileBusy(func() error {
				err := c.SubResource(sub).Update(ctx, object, options...)
				if tried && apierrors.IsConflict(err) {
					// Nobody else writes it: it was the update before.
					return nil
				}
				tried = true
				return err
			})
		},
	})
}

// whileBusy calls write again as long as the API server says that it is too busy.
func whileBusy(write func() error) error {
	return retry.OnError(wait.Backoff{Steps: attempts, Duration: time.Second}, func(err error) bool {
		return apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err)
	}, write)
}
