package child

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

// A Crew is a child for each of several libraries that are compared.
type Crew []*Child

// A Post describes a child that Hire starts: its name and its first line.
type Post struct {
	Name string
	Args any
}

// Hire starts a child for each post, as many at a time as there are cores.
func Hire(ctx context.Context, kind string, posts []Post) (Crew, error) {
	c := make(Crew, len(posts))
	errs := make([]error, len(posts))
	var wg sync.WaitGroup
	free := make(chan struct{}, runtime.NumCPU())
	for i, p := range posts {
		free <- struct{}{}
		wg.Go(func() {
			c[i], errs[i] = Start(ctx, kind, p.Name, p.Args)
			<-free
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, c.Dismiss())
	}
	return c, nil
}

// Round lets each child work once, one after the other. Round n begins with child n, so
// that no library has the same place in each round.
func (c Crew) Round(n int, work func(*Child) error) error {
	for i := range c {
		if err := work(c[(i+n)%len(c)]); err != nil {
			return err
		}
	}
	return nil
}

// Dismiss ends all children.
func (c Crew) Dismiss() error {
	var errs []error
	for _, child := range c {
		if child != nil {
			errs = append(errs, child.Stop())
		}
	}
	return errors.Join(errs...)
}
