package processor

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func begin(t *testing.T, from interface{ Begin() (*Txn, error) }) *Txn {
	t.Helper()
	txn, err := from.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return txn
}

func plain(name, sublayer string) Filter {
	return Filter{Name: name, Layer: OutboundTransport, Sublayer: sublayer, Action: ActionBlock}
}

func inForce(p *Processor) []string { return p.policy.Load().Filters() }

// All at once or not at all; what fails in between does not spoil the rest.
func TestTransactions(t *testing.T) {
	p, w := still(t, Config{Policy: policyOf(t, plain("old", ""))})
	txn := begin(t, p)
	if _, err := p.Begin(); !errors.Is(err, ErrTxnInProgress) {
		t.Errorf("a second one: %v", err)
	}
	for _, step := range []struct {
		err  error
		want error
	}{
		{txn.AddSublayer(Sublayer{"s", 7}), nil},
		{txn.AddSublayer(Sublayer{"s", 7}), ErrAlreadyExists},
		{txn.AddSublayer(Sublayer{DefaultSublayer, 7}), ErrAlreadyExists},
		{txn.AddSublayer(Sublayer{}), ErrNameRequired},
		{txn.AddFilter(plain("new", "s")), nil},
		{txn.AddFilter(plain("new", "s")), ErrAlreadyExists},
		{txn.AddFilter(plain("", "s")), ErrNameRequired},
		{txn.AddFilter(plain("x", "nowhere")), ErrSublayerNotFound},
		{txn.AddFilter(Filter{Name: "x", Layer: OutboundTransport}), ErrInvalidAction},
		{txn.DeleteFilter("x"), ErrFilterNotFound},
		{txn.DeleteSublayer("s"), ErrInUse},
		{txn.DeleteSublayer("t"), ErrSublayerNotFound},
		{txn.DeleteFilter("old"), nil},
	} {
		if !errors.Is(step.err, step.want) || step.want == nil && step.err != nil {
			t.Errorf("%v, want %v", step.err, step.want)
		}
	}
	if got := inForce(p); !slices.Equal(got, []string{"old"}) {
		t.Errorf("before the commit %v are in force", got)
	}
	change, err := txn.Commit()
	if err != nil || !slices.Equal(change.Added, []string{"new"}) || !slices.Equal(change.Removed, []string{"old"}) || !slices.Equal(inForce(p), []string{"new"}) {
		t.Errorf("%+v, %v; in force are %v", change, err, inForce(p))
	}
	if _, err := txn.Commit(); !errors.Is(err, ErrNoTxn) || !errors.Is(txn.AddFilter(plain("x", "")), ErrNoTxn) {
		t.Errorf("a transaction goes on after its end: %v", err)
	}
	showTo(w, tcpOf(here, there, ackFlag))
	if s := p.Stats().Filters[0]; s.Name != "new" || s.Blocked != 1 {
		t.Errorf("stats %+v", s)
	}
	txn = begin(t, p)
	if err := txn.DeleteFilter("new"); err != nil {
		t.Fatal(err)
	}
	txn.Abort()
	if got := inForce(p); !slices.Equal(got, []string{"new"}) {
		t.Errorf("after an abort %v are in force", got)
	}
}

// A session's objects die with it, and nothing that stays may refer to them.
func TestSessions(t *testing.T) {
	p, _ := still(t, Config{Policy: policyOf(t, plain("static", ""))})
	a, b := p.OpenSession(), p.OpenSession()
	txn := begin(t, a)
	if err := errors.Join(txn.AddSublayer(Sublayer{"a", 7}), txn.AddFilter(plain("a1", "a")), txn.AddFilter(plain("a2", ""))); err != nil {
		t.Fatal(err)
	}
	if _, err := txn.Commit(); err != nil {
		t.Fatal(err)
	}
	static, other := begin(t, p), begin(t, b)
	for _, txn := range []*Txn{static, other} {
		if err := txn.AddFilter(plain("x", "a")); !errors.Is(err, ErrLifetimeMismatch) || ErrLifetimeMismatch != 0x80320016 {
			t.Errorf("a filter in a sublayer that lives shorter: %v", err)
		}
	}
	if err := errors.Join(static.AddFilter(plain("s2", "")), other.AddFilter(plain("b1", "")), other.AddFilter(plain("b2", ""))); err != nil {
		t.Fatal(err)
	}
	if _, err := static.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Commit(); err != nil { // begun before the other was committed
		t.Fatal(err)
	}
	if got := inForce(p); !slices.Equal(got, []string{"static", "a1", "a2", "s2", "b1", "b2"}) {
		t.Errorf("in force are %v", got)
	}
	pending := begin(t, a)
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Error(err)
	}
	if got := inForce(p); !slices.Equal(got, []string{"static", "s2", "b1", "b2"}) || len(p.policy.Load().sublayers) != 1 {
		t.Errorf("after a session was closed %v are in force", got)
	}
	if _, err := a.Begin(); !errors.Is(err, ErrSessionAborted) || !errors.Is(pending.AddFilter(plain("x", "")), ErrNoTxn) {
		t.Errorf("a closed session goes on: %v", err)
	}
	if err := b.Close(); err != nil || !slices.Equal(inForce(p), []string{"static", "s2"}) {
		t.Errorf("%v; in force are %v", err, inForce(p))
	}
}

// Of two transactions that cannot both be, the later commit fails and changes nothing.
func TestTransactionsThatConflict(t *testing.T) {
	p, _ := still(t, Config{})
	a, b := begin(t, p.OpenSession()), begin(t, p.OpenSession())
	if err := errors.Join(a.AddFilter(plain("x", "")), b.AddFilter(plain("y", "")), b.AddFilter(plain("x", ""))); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(); !errors.Is(err, ErrAlreadyExists) || !slices.Equal(inForce(p), []string{"x"}) {
		t.Errorf("%v; in force are %v", err, inForce(p))
	}
}

// A commit has flows authorised again, keeps automatic weights, and does not find bounds anew.
func TestACommitIsASwap(t *testing.T) {
	heavy := Filter{Name: "auto", Layer: ALEAuthConnect, When: when(t, "tcp.DstPort == 22"), Weighting: WeightAuto, Action: ActionPermit}
	p, w := still(t, Config{Policy: policyOf(t, heavy)})
	before := p.policy.Load().filters[0]
	if !showTo(w, udpOf(here, there)).passes() {
		t.Fatal("the flow does not open")
	}
	txn := begin(t, p)
	if err := txn.AddFilter(Filter{Name: "no", Layer: ALEAuthConnect, Action: ActionBlock}); err != nil {
		t.Fatal(err)
	}
	if _, err := txn.Commit(); err != nil {
		t.Fatal(err)
	}
	if showTo(w, udpOf(here, there)).passes() {
		t.Error("a flow goes on that the transaction does not want")
	}
	if after := p.policy.Load().filters[0]; after.Weight != before.Weight || after.Weight == 0 || after.bounds != before.bounds {
		t.Errorf("weights %#x, %#x", before.Weight, after.Weight)
	}
}

// Any operations in any sessions leave in force what a plain list would hold.
func TestTransactionsAreAList(t *testing.T) {
	p, _ := still(t, Config{})
	rapid.Check(t, func(rt *rapid.T) {
		if _, err := p.Apply(policyOf(t)); err != nil {
			rt.Fatal(err)
		}
		var want []string
		owner := map[string]int{}
		sessions := []*Session{p.OpenSession(), p.OpenSession()}
		for range rapid.IntRange(1, 20).Draw(rt, "transactions") {
			n := rapid.IntRange(0, 2).Draw(rt, "session")
			begin := p.Begin
			if n > 0 {
				if rapid.IntRange(0, 9).Draw(rt, "close") == 0 {
					if err := sessions[n-1].Close(); err != nil {
						rt.Fatal(err)
					}
					want = slices.DeleteFunc(want, func(name string) bool { return owner[name] == n })
					sessions[n-1] = p.OpenSession()
				}
				begin = sessions[n-1].Begin
			}
			txn, err := begin()
			if err != nil {
				rt.Fatal(err)
			}
			now := slices.Clone(want)
			owns := map[string]int{}
			for range rapid.IntRange(0, 5).Draw(rt, "operations") {
				name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "name")
				has := slices.Contains(now, name)
				if rapid.Bool().Draw(rt, "add") {
					if err := txn.AddFilter(plain(name, "")); (err != nil) != has {
						rt.Fatalf("add %s to %v: %v", name, now, err)
					}
					if !has {
						now, owns[name] = append(now, name), n
					}
				} else {
					if err := txn.DeleteFilter(name); (err == nil) != has {
						rt.Fatalf("delete %s from %v: %v", name, now, err)
					}
					now = slices.DeleteFunc(now, func(s string) bool { return s == name })
				}
			}
			if rapid.Bool().Draw(rt, "commit") {
				if _, err := txn.Commit(); err != nil {
					rt.Fatal(err)
				}
				want = now
				for name, n := range owns {
					owner[name] = n
				}
			} else {
				txn.Abort()
			}
			if got := inForce(p); !slices.Equal(got, want) {
				rt.Fatalf("in force are %v, want %v", got, want)
			}
		}
	})
}

// Sessions that are closed while they commit leave nothing behind.
func TestClosingWhileCommitting(t *testing.T) {
	p, _ := still(t, Config{})
	for range 200 {
		s := p.OpenSession()
		txn := begin(t, s)
		if err := txn.AddFilter(plain("x", "")); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := txn.Commit()
			done <- err
		}()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil && !errors.Is(err, ErrNoTxn) {
			t.Fatal(err)
		}
		if got := inForce(p); len(got) != 0 {
			t.Fatalf("in force are %v", got)
		}
	}
}
