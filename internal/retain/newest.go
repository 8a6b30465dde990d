package retain

import (
	"cmp"
	"slices"
	"time"
)

// newest keeps the newest of what it is given, and no more than most of them.
type newest struct {
	most int
	kept []dated
}

type dated struct {
	ref Ref
	at  time.Time
}

// add takes one in. If that makes one too many it returns the oldest. Of equal
// age the one counts as older whose name comes first, so that the same objects
// go in whatever order they come.
func (n *newest) add(ref Ref, at time.Time) (dropped Ref, full bool) {
	one := dated{ref, at}
	place, _ := slices.BinarySearchFunc(n.kept, one, func(a, b dated) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.ref.Name, b.ref.Name), cmp.Compare(a.ref.Kind, b.ref.Kind))
	})
	n.kept = slices.Insert(n.kept, place, one)
	if len(n.kept) <= n.most {
		return Ref{}, false
	}
	dropped = n.kept[0].ref
	n.kept = slices.Delete(n.kept, 0, 1)
	return dropped, true
}
