package idempotency

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// foundRebuild is what findScript says of one token.
type foundRebuild struct {
	token            string
	generation       uint64
	buckets          []byte
	locked, unlocked int // of them
}

// findRebuilds asks all buckets which rebuild they are in.
func (r *Rebuilder) findRebuilds(ctx context.Context) (map[string]*foundRebuild, error) {
	known := map[string]*foundRebuild{}
	err := r.scripts.askBuckets(ctx, bucketScript{findScript, markerAndLock, nil}, allBuckets(), func(b byte, text string) {
		f := strings.Fields(text)
		if len(f) < 2 {
			return
		}
		one := known[f[0]]
		if one == nil {
			number, err := strconv.ParseUint(f[1], 10, 64)
			if err != nil {
				return
			}
			one = &foundRebuild{token: f[0], generation: number}
			known[f[0]] = one
		}
		one.buckets = append(one.buckets, b)
		if f[len(f)-1] == lockedMark {
			one.locked++
		} else {
			one.unlocked++
		}
	})
	return known, err
}

// findShared finds the rebuild that most buckets are in, nil if there is none. With
// abandoned it is one that nobody holds the locks of. The error is errStateGone if there is
// one that nobody can go on with; the buckets that it covers are returned nevertheless.
//
// A rebuild is announced to all its buckets before its state is made. The nodes of a Cluster
// answer one after the other, some perhaps before the announcement, although the state is
// there a moment later. So which buckets it covers is asked again once the state was seen.
func (r *Rebuilder) findShared(ctx context.Context, abandoned bool) (*sharedReplay, error) {
	space, err := r.scripts.keys.get()
	if err != nil {
		return nil, err
	}
	known, err := r.findRebuilds(ctx)
	if err != nil || len(known) == 0 {
		return nil, err
	}
	asked := func(one *foundRebuild) int {
		if abandoned {
			return one.unlocked
		}
		return one.locked
	}
	most := slices.MaxFunc(slices.SortedFunc(maps.Values(known), func(a, b *foundRebuild) int { return cmp.Compare(a.token, b.token) }),
		func(a, b *foundRebuild) int { return cmp.Compare(asked(a), asked(b)) })
	if asked(most) == 0 {
		return nil, nil
	}
	s := r.newSharedReplay(space, most.token)
	s.generation = most.generation
	if err = s.note(ctx, nil); err == nil {
		if known, err = r.findRebuilds(ctx); err != nil || known[most.token] == nil {
			return nil, err
		}
		most = known[most.token]
	}
	for _, b := range most.buckets {
		s.covered.add(b)
	}
	return s, err
}
