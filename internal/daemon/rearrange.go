package daemon

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/processor/policy"
)

// rearrangement is a change of what is under the handles, prepared as far as it can be without any packet noticing.
type rearrangement struct {
	s          *swapper
	driver     divertdrv.Driver
	failClosed bool

	want     []*policy.Handle // by conn; nil: it becomes idle
	fresh    []*lower         // by conn; nil: nothing is opened under it
	refilter []*swapConn      // whose driver changes the filter in place
	kept     int
	opened   int
}

// refilterer is a driver's conn whose filter can be changed in one step, so that no packet meets both or neither.
type refilterer interface {
	Refilter(f *divertdrv.Filter) error
}

// prepare finds a place for each handle and opens what must be opened. renewed: all are opened anew, by another driver. An error
// leaves all as it was. s.ops must be held until commit or discard.
func (s *swapper) prepare(driver divertdrv.Driver, failClosed, renewed bool, handles []policy.Handle) (*rearrangement, error) {
	r := &rearrangement{s: s, driver: driver, failClosed: failClosed, want: make([]*policy.Handle, len(s.conns)), fresh: make([]*lower, len(s.conns))}
	specs := s.specs()
	left, err := r.place(specs, handles)
	if err != nil {
		return nil, err
	}
	old, oldClosed := s.driver, s.failClosed
	s.driver, s.failClosed = driver, failClosed
	defer func() { s.driver, s.failClosed = old, oldClosed }()
	for i, c := range s.conns {
		switch {
		case r.want[i] == nil || s.paused:
		case !left[i] && !renewed:
			r.kept++
		case !renewed && c.refilters(specs[i], r.want[i]):
			r.refilter = append(r.refilter, c)
			r.opened++
		default:
			if r.fresh[i], err = s.open(r.want[i]); err != nil {
				return nil, errors.Join(err, s.discard(r.fresh))
			}
			r.opened++
		}
	}
	return r, nil
}

// place finds a conn for each handle: the one that has it already, one that has it but for the filter, any, or an idle one. It
// returns which conns have to be changed.
func (r *rearrangement) place(specs []*policy.Handle, handles []policy.Handle) (changes []bool, err error) {
	changes = make([]bool, len(specs))
	left := make([]*policy.Handle, 0, len(handles))
	for i := range handles {
		if at := r.free(specs, &handles[i], sameHandle); at >= 0 {
			r.want[at] = &handles[i]
		} else {
			left = append(left, &handles[i])
		}
	}
	for _, like := range []func(a, b *policy.Handle) bool{likeHandle, anyHandle, idleHandle} {
		var rest []*policy.Handle
		for _, h := range left {
			if at := r.free(specs, h, like); at >= 0 {
				r.want[at], changes[at] = h, true
			} else {
				rest = append(rest, h)
			}
		}
		left = rest
	}
	if len(left) > 0 {
		return nil, fmt.Errorf("the policy has more handles at layer %v than there was room for when weir was started; restart it",
			left[0].Filter.Layer())
	}
	return changes, nil
}

// free finds a conn at the handle's layer that nobody took and that is like it; -1: there is none.
func (r *rearrangement) free(specs []*policy.Handle, h *policy.Handle, like func(spec, h *policy.Handle) bool) int {
	for i, spec := range specs {
		if r.want[i] == nil && r.s.conns[i].layer == h.Filter.Layer() && like(spec, h) {
			return i
		}
	}
	return -1
}

func sameHandle(spec, h *policy.Handle) bool {
	return likeHandle(spec, h) && sameFilter(spec.Filter, h.Filter)
}

func likeHandle(spec, h *policy.Handle) bool {
	return spec != nil && spec.Priority == h.Priority && spec.Flags == h.Flags
}

func anyHandle(spec, _ *policy.Handle) bool { return spec != nil }

func idleHandle(spec, _ *policy.Handle) bool { return spec == nil }

func sameFilter(a, b *filter.Program) bool {
	if a.String() != b.String() {
		return false
	}
	x, errX := a.Binary()
	y, errY := b.Binary()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// refilters says that only the filter differs, and that the driver can change that in place.
func (c *swapConn) refilters(spec, want *policy.Handle) bool {
	l, err := c.current()
	if err != nil || spec == nil || !likeHandle(spec, want) {
		return false
	}
	_, can := offers[refilterer](l.conn)
	return can && want.Flags&(divertdrv.Sniff|divertdrv.DropAll|divertdrv.SendOnly) == 0
}

// commit changes what is under the handles, and has apply put the policy in force in between. An error has changed nothing. What was
// replaced is still being read when it returns; see swapper.settle.
func (r *rearrangement) commit(apply func() error) error {
	specs := r.s.specs()
	for i, c := range r.refilter {
		if err := c.refilter(r.want[c.id]); err != nil {
			return errors.Join(err, r.undo(specs, i), r.s.discard(r.fresh))
		}
	}
	if err := apply(); err != nil {
		return errors.Join(err, r.undo(specs, len(r.refilter)), r.s.discard(r.fresh))
	}
	r.s.driver, r.s.failClosed = r.driver, r.failClosed
	var errs []error
	for i, c := range r.s.conns {
		c.setWants(r.want[i])
		if r.fresh[i] != nil || r.want[i] == nil && specs[i] != nil {
			errs = append(errs, c.replace(r.fresh[i]))
		}
	}
	return errors.Join(errs...)
}

// undo gives the first n of those whose filters were changed their old filters.
func (r *rearrangement) undo(specs []*policy.Handle, n int) error {
	var errs []error
	for _, c := range r.refilter[:n] {
		errs = append(errs, c.refilter(specs[c.id]))
	}
	return errors.Join(errs...)
}

func (c *swapConn) setWants(spec *policy.Handle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spec = spec
}

// refilter changes the filter in place.
func (c *swapConn) refilter(want *policy.Handle) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	changes, ok := offers[refilterer](l.conn)
	if !ok { // it died meanwhile, and comes back as another
		return divertdrv.ErrUnsupported
	}
	return changes.Refilter(want.Filter)
}
