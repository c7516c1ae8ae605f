package simulation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"runtime/debug"
	"strings"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/internal/clock"
)

// Options of a run. The zero value is a good one.
type Options struct {
	Wrap  func(divertdrv.Driver) divertdrv.Driver // puts a driver of the caller's around each simulated one, under the faults
	Trace bool                                    // Result.Trace tells each operation
}

// Result is what came of a run.
type Result struct {
	Digest uint64 // of all that could be seen: the same each time
	Err    error  // how the contract was broken, and at which operation; nil: it was kept
	At     int    // valid iff Err != nil: the operation; len(Ops): while all was being ended
	Trace  []string
	Counts Counts
}

// Counts says what a run came across, so that a soak can show that it tried everything.
type Counts struct {
	Programs, Ops, Handles, Received, Passed, Dropped, Held, Expired, Injected, Failed, Lost, Faults, Deaths uint64

	Cut, Resized, Wholes, Events, WireFaults, Refused uint64
}

// Add adds o.
func (c *Counts) Add(o Counts) {
	for i, p := range c.all() {
		*p += *o.all()[i]
	}
}

func (c *Counts) all() []*uint64 {
	return []*uint64{
		&c.Programs, &c.Ops, &c.Handles, &c.Received, &c.Passed, &c.Dropped, &c.Held, &c.Expired, &c.Injected, &c.Failed, &c.Lost,
		&c.Faults, &c.Deaths, &c.Cut, &c.Resized, &c.Wholes, &c.Events, &c.WireFaults, &c.Refused,
	}
}

// runner runs a program on the real thing and on the model, side by side.
type runner struct {
	model
	setup  Setup
	clock  *clock.Virtual
	sim    *simdrv.Stack
	faulty *simdrv.FaultyDriver
	tap    *tap
	probe  *probe
	pipe   *simdrv.Pipe

	number uint32          // of the packet made last
	holds  int             // ever made
	sent   map[string]bool // packets that were put on the wire, undamaged
	socks  []*endpoint     // every one that was made
	got    []exit          // what really left since it was last compared
	log    hash.Hash64
	tracing,
	killed bool // a death is no surprise
	result Result
}

// real is the real side of a handle.
type real struct {
	*divertdrv.Handle
	ready  func() bool
	object []byte // its filter, as REFLECT shows it
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const processID = 4242

// Run runs a program in the caller's goroutine. It never waits for anything: that something would have to is an error.
func Run(p Program, o Options) (result Result) {
	r := newRunner(p, o)
	at := 0
	defer func() {
		if v := recover(); v != nil {
			r.fail("panic: %v\n%s", v, debug.Stack())
		}
		r.result.At, r.result.Digest = at, r.log.Sum64()
		result = r.result
	}()
	for ; at < len(p.Ops) && r.result.Err == nil; at++ {
		r.result.Counts.Ops++
		r.note("%d %v", at, p.Ops[at].Kind)
		r.do(p.Ops[at])
		if r.check(); r.result.Err != nil {
			return
		}
	}
	r.note("the end")
	r.finish()
	return
}

func newRunner(p Program, o Options) *runner {
	r := &runner{setup: p.Setup, clock: clock.NewVirtual(start), log: fnv.New64a(), sent: map[string]bool{}, tracing: o.Trace}
	r.result.Counts.Programs = 1
	r.host, r.now = newHost(p.Setup.Named), r.clock.Now
	r.sim = simdrv.New(simdrv.Config{
		Clock: r.clock, MTU: mtu, ProcessID: processID, HoldMax: p.Setup.HoldMax, Interfaces: r.host.interfaces(),
		OnWire: r.left(true), OnHost: r.left(false),
	})
	r.probe = &probe{Driver: r.sim}
	inner := divertdrv.Driver(r.probe)
	if o.Wrap != nil {
		inner = o.Wrap(inner)
	}
	r.faulty = simdrv.WithFaults(inner, simdrv.DriverFaults{Seed: p.Seed, Refuse: p.Setup.Refuse, DieAfter: p.Setup.DieAfter})
	r.tap = &tap{Driver: r.faulty}
	r.pipe = simdrv.NewPipe(simdrv.PipeConfig{
		Clock: r.clock, Delay: time.Millisecond,
		Faults: simdrv.Faults{
			Seed: p.Seed, Drop: 0.05, Duplicate: 0.1, Reorder: 0.1, Delay: 0.1, Corrupt: 0.15, Truncate: 0.05, DelayMax: 20 * time.Millisecond,
		},
	}, r.arrive)
	return r
}

// left is where the real host's packets go.
func (r *runner) left(wire bool) func(*divertdrv.Address, []byte) {
	return func(a *divertdrv.Address, data []byte) {
		r.got = append(r.got, exit{wire, timeless(a), bytes.Clone(data)})
	}
}

// timeless is an Address but for its time.
func timeless(a *divertdrv.Address) divertdrv.Address {
	t := *a
	t.Timestamp = 0
	return t
}

// fail keeps the first violation.
func (r *runner) fail(format string, args ...any) {
	if r.result.Err == nil {
		r.result.Err = fmt.Errorf(format, args...)
		r.note("VIOLATION: %v", r.result.Err)
	}
}

// note is a line of the trace.
func (r *runner) note(format string, args ...any) {
	if r.tracing {
		r.result.Trace = append(r.result.Trace, fmt.Sprintf(format, args...))
	}
}

// digest adds a packet that was seen, and when.
func (r *runner) digest(a *divertdrv.Address, data []byte) {
	b := a.Bytes()
	_, _ = r.log.Write(b[:])
	_, _ = r.log.Write(data)
	_, _ = r.log.Write(binary.LittleEndian.AppendUint64(nil, uint64(r.now().UnixNano())))
}

// agree compares what an operation returned with what it should have.
func (r *runner) agree(what string, got, want error) {
	if got != nil {
		_, _ = r.log.Write([]byte(got.Error()))
	}
	same := (got == nil) == (want == nil)
	switch {
	case !same || got == nil:
	case errors.Is(want, errFault):
		same = isFault(got)
	default:
		same = errors.Is(got, want)
	}
	if !same {
		r.fail("%s: %v, want %v", what, got, want)
	}
}

// learn looks whether an error says that the driver died just now.
func (r *runner) learn(err error) {
	if r.dead || !errors.Is(err, simdrv.ErrDied) {
		return
	}
	if r.setup.DieAfter == 0 && !r.killed {
		r.fail("the driver died by itself: %v", err)
	}
	r.result.Counts.Deaths++
	r.note("  the driver dies")
	r.die()
}

// check compares everything that can be seen from outside.
func (r *runner) check() {
	for i := range max(len(r.got), len(r.exits)) {
		if i >= len(r.got) || i >= len(r.exits) || !r.got[i].same(&r.exits[i]) {
			r.fail("what left is not what should have, from packet %d:\n  got:  %s\n  want: %s", i, list(r.got[i:]), list(r.exits[i:]))
			return
		}
		r.digest(&r.got[i].addr, r.got[i].data)
		if r.tracing {
			r.note("  left %v", &r.got[i])
		}
	}
	r.got, r.exits = r.got[:0], r.exits[:0]
	for _, h := range r.handles {
		st := h.real.Stats()
		if err := st.Conserved(); err != nil {
			r.fail("handle %d: %v", h.number, err)
		}
		if st != h.stats {
			r.fail("handle %d counts\n  got:  %v\n  want: %v", h.number, counts(&st), counts(&h.stats))
		}
	}
	host := r.sim.Stats()
	if host.Flows = 0; host != r.stats { // how many flows there are is not the model's
		r.fail("the host counts\n  got:  %+v\n  want: %+v", host, r.stats)
	}
	st := r.pipe.Stats()
	if st.Sent+st.Duplicated != st.Delivered+st.Dropped+st.NoRoom+st.Refused+st.UnderWay {
		r.fail("the wire is not conserved: %+v", st)
	}
}

func (e *exit) same(o *exit) bool {
	return e.wire == o.wire && e.addr == o.addr && bytes.Equal(e.data, o.data)
}

func (e *exit) String() string {
	to := "host"
	if e.wire {
		to = "wire"
	}
	return fmt.Sprintf("to the %s: %s, %s", to, describe(&e.addr), title(e.data))
}

func list(exits []exit) string {
	lines := []string{fmt.Sprintf("%d packets", len(exits))}
	for i := range exits {
		lines = append(lines, exits[i].String())
	}
	return strings.Join(lines, "\n    ")
}
