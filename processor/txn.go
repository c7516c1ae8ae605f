package processor

import (
	"fmt"
	"slices"
	"sync"
)

// Session owns filters and sublayers that are gone when it is closed (FWPM_SESSION_FLAG_DYNAMIC). Its methods may be called from
// any goroutine.
type Session struct {
	p *Processor

	mu     sync.Mutex // guards all below
	open   *Txn       // nil: no transaction is
	closed bool
}

// Txn is a transaction over the policy in force: what is added and deleted is seen by packets all at once, when it is committed. An
// operation that fails changes nothing, and the transaction goes on. It is for one goroutine.
type Txn struct {
	session *Session
	view    draft
	base    *Policy              // what view was made from
	ops     []func(*draft) error // those that did not fail
}

// OpenSession opens a session.
func (p *Processor) OpenSession() *Session { return &Session{p: p} }

// Begin starts a transaction whose objects stay when it is over (static, in WFP's words). ErrTxnInProgress: another is not over yet.
func (p *Processor) Begin() (*Txn, error) { return p.static.Begin() }

// Begin starts a transaction whose objects are the session's. Errors: ErrTxnInProgress, the session's last is not over yet;
// ErrSessionAborted, the session is closed.
func (s *Session) Begin() (*Txn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, &Error{ErrSessionAborted, "", "the session is closed; open another"}
	case s.open != nil:
		return nil, &Error{ErrTxnInProgress, "", "commit or abort the transaction before"}
	}
	base := s.p.policy.Load()
	s.open = &Txn{session: s, base: base, view: base.draft()}
	return s.open, nil
}

// Close deletes what the session owns, and aborts its transaction. It may be called twice.
func (s *Session) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed, s.open = true, nil
	s.mu.Unlock() // a commit asks for it with changing held
	if closed {
		return nil
	}
	s.p.changing.Lock()
	defer s.p.changing.Unlock()
	d := s.p.policy.Load().draft()
	d.filters = slices.DeleteFunc(d.filters, func(f Filter) bool { return d.owners[object{"filter", f.Name}] == s })
	d.sublayers = slices.DeleteFunc(d.sublayers, func(l Sublayer) bool { return d.owners[object{"sublayer", l.Name}] == s })
	_, err := s.p.commit(d)
	return err
}

// AddFilter adds a filter. Errors: what is wrong with the filter; ErrAlreadyExists; ErrSublayerNotFound; ErrLifetimeMismatch, the
// sublayer lives shorter than the filter; ErrNoTxn.
func (t *Txn) AddFilter(f Filter) error {
	return t.do(func(d *draft) error { return d.addFilter(f, t.session) })
}

// DeleteFilter deletes a filter. ErrFilterNotFound; ErrNoTxn.
func (t *Txn) DeleteFilter(name string) error {
	return t.do(func(d *draft) error {
		i := slices.IndexFunc(d.filters, func(f Filter) bool { return f.Name == name })
		if i < 0 {
			return filterError(ErrFilterNotFound, name, "there is none of that name")
		}
		d.filters = slices.Delete(d.filters, i, i+1)
		delete(d.owners, object{"filter", name})
		return nil
	})
}

// AddSublayer adds a sublayer. Errors: ErrNameRequired, ErrAlreadyExists, ErrNoTxn.
func (t *Txn) AddSublayer(l Sublayer) error {
	return t.do(func(d *draft) error { return d.addSublayer(l, t.session) })
}

// DeleteSublayer deletes a sublayer. Errors: ErrSublayerNotFound; ErrInUse, filters are in it; ErrNoTxn.
func (t *Txn) DeleteSublayer(name string) error {
	return t.do(func(d *draft) error {
		where := fmt.Sprintf("sublayer %q", name)
		i := slices.IndexFunc(d.sublayers, func(l Sublayer) bool { return l.Name == name })
		if i < 0 {
			return &Error{ErrSublayerNotFound, where, "there is none of that name"}
		}
		if j := slices.IndexFunc(d.filters, func(f Filter) bool { return f.Sublayer == name }); j >= 0 {
			return &Error{ErrInUse, where, fmt.Sprintf("filter %q is in it; delete it first", d.filters[j].Name)}
		}
		d.sublayers = slices.Delete(d.sublayers, i, i+1)
		delete(d.owners, object{"sublayer", name})
		return nil
	})
}

func (t *Txn) do(op func(*draft) error) error {
	if err := t.running(); err != nil {
		return err
	}
	if err := op(&t.view); err != nil {
		return err
	}
	t.ops = append(t.ops, op)
	return nil
}

// running says whether the transaction is not over.
func (t *Txn) running() error {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	if t.session.open != t {
		return &Error{ErrNoTxn, "", "the transaction is over; begin another"}
	}
	return nil
}

// Commit puts the changes in force, and flows are authorised again; the transaction is over. If the policy was changed since Begin,
// by Apply or another session, the changes are made to what it is now. On an error nothing changed: ErrNoTxn, that of an
// operation that is not possible any more, or ErrCalloutNotification.
func (t *Txn) Commit() (Change, error) {
	p := t.session.p
	p.changing.Lock()
	defer p.changing.Unlock()
	if err := t.running(); err != nil { // asked here, so that a session that is closed meanwhile keeps nothing
		return Change{}, err
	}
	defer t.Abort()
	if now := p.policy.Load(); now != t.base {
		t.view = now.draft()
		for _, op := range t.ops {
			if err := op(&t.view); err != nil {
				return Change{}, fmt.Errorf("the policy was changed meanwhile: %w", err)
			}
		}
	}
	return p.commit(t.view)
}

// Abort ends the transaction; if it was not committed, nothing changed. After Commit it does nothing.
func (t *Txn) Abort() {
	t.session.mu.Lock()
	defer t.session.mu.Unlock()
	if t.session.open == t {
		t.session.open = nil
	}
}

// commit puts a draft in force. It needs p.changing.
func (p *Processor) commit(d draft) (Change, error) {
	pol, err := newPolicy(d.sublayers, d.filters, d.bounds)
	if err != nil {
		return Change{}, err
	}
	pol.owners = d.owners
	return p.apply(pol)
}
