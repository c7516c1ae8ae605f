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
	// The flood is over when nothing arrived for that long.
	floodQuiet = 100 * time.Millisecond
	floodLimit = 5 * time.Second
)

// The causes of losses at a queue in the kernel.
const (
	causeQueue  = "queue full"
	causeMemory = "socket memory"

	causeProgram = "program: " // before what the program calls it
)

// FloodResult says where the datagrams of a flood went.
type FloodResult struct {
	Asked   float64 // datagrams a second
	Offered uint64  // those that the sender could send
	Arrived uint64
	Elapsed time.Duration
	Lost    map[string]uint64 // by cause, "unknown" is what nobody counted
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

// flood sends datagrams at a rate, whether they arrive or not. Nobody reads them: they are counted at the server's device, so that
// receiving takes no processor from the program under test. It returns when no more arrive; lost has what the kernel counted.
func (l *lab) flood(ctx context.Context, d time.Duration, perSecond float64) (r FloodResult, err error) {
	r = FloodResult{Asked: perSecond}
	to := netip.AddrPortFrom(serverAddr, floodPort)
	sink, err := udpSocket(l.server, to, 0) // or there would be answers
	if err != nil {
		return r, err
	}
	defer unix.Close(sink) //nolint:errcheck // nothing was to be learned from it
	from, err := udpSocket(l.client, netip.AddrPortFrom(clientAddr, floodPort), 0)
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
		causeQueue: c.queueFull, causeMemory: c.queueMemory, "device": c.device, "backlog": c.backlog, "router": c.router,
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
		r.Lost["unknown"] = r.Offered - known
	}
}

// quiet waits until nothing more arrives.
func (l *lab) quiet(ctx context.Context) (counts, error) {
	last, err := l.counts()
	for until := time.Now().Add(floodLimit); err == nil && ctx.Err() == nil && time.Now().Before(until); {
		time.Sleep(floodQuiet)
		var now counts
		if now, err = l.counts(); now.arrived == last.arrived {
			return now, err
		}
		last = now
	}
	return last, err
}

// counts are the kernel's, of all places on the way where a datagram can be lost.
type counts struct {
	arrived     uint64 // at the server's device
	queueFull   uint64 // as many packets waited as the queue holds
	queueMemory uint64 // the program's socket was full
	device      uint64 // dropped by a device on the way
	backlog     uint64 // dropped between a device and the stack, on the whole machine
	router      uint64 // dropped by the router's stack
}

func (c counts) since(b counts) counts {
	return counts{
		c.arrived - b.arrived, c.queueFull - b.queueFull, c.queueMemory - b.queueMemory, c.device - b.device,
		c.backlog - b.backlog, c.router - b.router,
	}
}

func (l *lab) counts() (c counts, err error) {
	var q queueRow
	q, errQ := l.queue()
	c.queueFull, c.queueMemory = q.full, q.memory
	errs := []error{errQ}
	for _, d := range []struct {
		ns      int
		dev     string
		arrived bool
	}{{l.client, clientDev, false}, {l.router, leftDev, false}, {l.router, rightDev, false}, {l.server, serverDev, true}} {
		row, err := device(d.ns, d.dev)
		errs = append(errs, err)
		if d.arrived {
			c.arrived = row.rx
		}
		c.device += row.dropped
	}
	var err1, err2 error
	c.backlog, err1 = backlogDrops()
	c.router, err2 = l.routerDrops()
	return c, errors.Join(append(errs, err1, err2)...)
}

// number reads a decimal number; what is none is 0.
func number(s string) uint64 {
	n, _ := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
	return n
}
