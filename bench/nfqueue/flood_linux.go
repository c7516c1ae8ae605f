package nfqueue

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv/reason"
)

const (
	floodPort  = 11
	floodEvery = 100 * time.Microsecond // how often some are sent
	// The flood is over when nothing arrived for that long and nothing waits, or for the longer time.
	floodQuiet = 50 * time.Millisecond
	floodLimit = 5 * time.Second
)

// The causes of losses at a queue in the kernel.
const (
	causeQueue  = "queue full"
	causeMemory = "socket memory"

	causeUnknown = "unknown"   // nobody counted it
	causeProgram = "program: " // before what the program calls it
)

// FloodResult says where the datagrams of a flood went.
type FloodResult struct {
	Asked   float64 // datagrams a second
	Offered uint64  // those that the sender could send
	Arrived uint64
	Elapsed time.Duration
	Lost    map[string]uint64 // by cause
}

// PerSecond is the rate that was offered.
func (r *FloodResult) PerSecond() float64 { return float64(r.Offered) / r.Elapsed.Seconds() }

// LostTotal is the sum of Lost.
func (r *FloodResult) LostTotal() (n uint64) {
	for _, v := range r.Lost {
		n += v
	}
	return n
}

// inUserSpace counts those that a program had, or should have had, but for its own limits: a shed backlog, a full socket or queue.
func (r *FloodResult) inUserSpace() (n uint64) {
	for cause, v := range r.Lost {
		if cause == causeQueue || cause == causeMemory || strings.HasPrefix(cause, causeProgram) {
			n += v
		}
	}
	return n
}

// flood sends datagrams at a rate, whether they arrive or not. Nobody reads them: they are counted by the server's IP, so that
// receiving takes no processor from the program under test. It returns when no more arrive; lost has what the kernel counted.
func (l *lab) flood(ctx context.Context, d time.Duration, perSecond float64) (r FloodResult, err error) {
	r = FloodResult{Asked: perSecond}
	to := netip.AddrPortFrom(l.at.server, floodPort)
	sink, err := udpSocket(l.server, to, 0) // or there would be answers
	if err != nil {
		return r, err
	}
	defer unix.Close(sink) //nolint:errcheck // nothing was to be learned from it
	from, err := udpSocket(l.client, netip.AddrPortFrom(l.at.client, floodPort), 0)
	if err != nil {
		return r, err
	}
	defer unix.Close(from) //nolint:errcheck // the same
	if err := connect(from, to); err != nil {
		return r, err
	}
	before, err := l.counts()
	if err != nil {
		return r, err
	}
	if err := r.send(ctx, from, d); err != nil {
		return r, err
	}
	after, err := l.quiet(ctx)
	if err != nil {
		return r, err
	}
	r.account(after.since(before))
	return r, ctx.Err()
}

// send offers the datagrams evenly, some at once.
func (r *FloodResult) send(ctx context.Context, fd int, d time.Duration) error {
	b := newBurst()
	start := time.Now()
	for at := time.Duration(0); at < d && ctx.Err() == nil; at = time.Since(start) {
		due := uint64(r.Asked * at.Seconds())
		for r.Offered < due && time.Since(start) < d {
			n, err := b.send(fd, int(min(burstMax, due-r.Offered)))
			if err != nil && !errors.Is(err, unix.ENOBUFS) {
				return fmt.Errorf("send datagrams: %w", err)
			}
			r.Offered += uint64(n)
		}
		pause(floodEvery)
	}
	r.Elapsed = time.Since(start)
	return nil
}

// pause sleeps in the kernel: Go's timers are too coarse here.
func pause(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // a signal may end it early
}

// account says what became of all that was offered.
func (r *FloodResult) account(c counts) {
	r.Arrived = c.arrived
	r.Lost = make(map[string]uint64)
	for cause, n := range map[string]uint64{
		causeQueue: c.queueFull, causeMemory: c.queueMemory, causeProgram + "no verdict": c.waiting, "device": c.device, "backlog": c.backlog, "router": c.router,
	} {
		if n > 0 {
			r.Lost[cause] = n
		}
	}
}

// settle adds what a program says that it lost or dropped itself, and names the rest. A handle of Weir books what its queue in the
// kernel had no room for too, which is known already.
func (r *FloodResult) settle(byProgram map[string]uint64) {
	known := map[string]uint64{
		reason.QueueLength.String(): r.Lost[causeQueue], reason.NoMemory.String(): r.Lost[causeMemory],
	}
	for cause, n := range byProgram {
		if n > known[cause] {
			r.Lost[causeProgram+cause] += n - known[cause]
		}
	}
	if known := r.Arrived + r.LostTotal(); r.Offered > known {
		r.Lost[causeUnknown] = r.Offered - known
	}
}

// quiet waits until no packet is on its way: the queue is empty and nothing more arrives. What stays in the queue without moving has
// been forgotten.
func (l *lab) quiet(ctx context.Context) (counts, error) {
	last, err := l.counts()
	for moved := time.Now(); err == nil && ctx.Err() == nil && time.Since(moved) < floodLimit; {
		time.Sleep(floodQuiet)
		var now counts
		now, err = l.counts()
		switch {
		case now.arrived != last.arrived:
			moved = time.Now()
		case now.waiting == 0:
			return now, err
		}
		last = now
	}
	return last, err
}

// counts are the kernel's, of all places on the way where a datagram can be lost.
type counts struct {
	arrived     uint64 // at the server's IP
	waiting     uint64 // in the queue now
	queueFull   uint64 // as many packets waited as the queue holds
	queueMemory uint64 // the program's socket was full
	device      uint64 // dropped by a device on the way
	backlog     uint64 // dropped between a device and the stack, on the whole machine
	router      uint64 // dropped by the router's stack
}

func (c counts) since(b counts) counts {
	return counts{
		c.arrived - b.arrived, c.waiting, c.queueFull - b.queueFull, c.queueMemory - b.queueMemory, c.device - b.device,
		c.backlog - b.backlog, c.router - b.router,
	}
}

func (l *lab) counts() (c counts, err error) {
	q, err := l.queue()
	c.waiting, c.queueFull, c.queueMemory = q.waiting, q.full, q.memory
	errs := []error{err}
	for _, d := range []struct {
		ns  int
		dev string
	}{{l.client, clientDev}, {l.router, leftDev}, {l.router, rightDev}, {l.server, serverDev}} {
		n, err := deviceDrops(d.ns, d.dev)
		errs = append(errs, err)
		c.device += n
	}
	ip, err1 := ipCounters(l.server)
	c.arrived = ip["InReceives"]
	var err2, err3 error
	c.backlog, err2 = backlogDrops()
	c.router, err3 = l.routerDrops()
	return c, errors.Join(append(errs, err1, err2, err3)...)
}

// number reads a decimal number; what is none is 0.
func number(s string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
	return n
}
