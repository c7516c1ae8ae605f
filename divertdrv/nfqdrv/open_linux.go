package nfqdrv

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/judged"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/reinject"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
	"github.com/weirnet/weir/internal/netns"
)

// open opens a handle. Nothing is diverted before all of it is there.
func (d *Driver) open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	if err := d.supported(l, o); err != nil {
		return nil, err
	}
	if l == addr.LayerReflect {
		return d.openReflect(f, o)
	}
	filters, err := lowerAll(f, l, o.Flags&addr.Fragments != 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", divertdrv.ErrInvalid, err)
	}
	if o.Flags&addr.Sniff != 0 && filters.asks("ifIdx", "subIfIdx") {
		return nil, fmt.Errorf("%w: a filter with ifIdx and the flag %v: copies of outbound packets do not tell the interface",
			divertdrv.ErrUnsupported, addr.Sniff)
	}
	if err := d.shared.take(); err != nil {
		return nil, denied(err)
	}
	has := func(f addr.Flags) bool { return o.Flags&f != 0 }
	c := &conn{
		driver: d, filter: f, layer: l, filters: filters,
		sniffs: has(addr.Sniff), dropAll: has(addr.DropAll), recvOnly: has(addr.RecvOnly), sendOnly: has(addr.SendOnly),
	}
	c.out.mtus.fd = -1
	c.out.pieces = make(map[uint32][]uint32)
	if err := d.inside(func(ns int) error { return c.open(ns, o) }); err != nil {
		return nil, errors.Join(denied(err), c.release())
	}
	return c, nil
}

// denied makes what the kernel refused for lack of rights ErrAccess, whoever asked for it.
func denied(err error) error {
	if (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)) && !errors.Is(err, divertdrv.ErrAccess) {
		return fmt.Errorf("%w: %w", divertdrv.ErrAccess, err)
	}
	return err
}

// supported refuses what the driver cannot do.
func (d *Driver) supported(l divertdrv.Layer, o *divertdrv.Options) error {
	switch {
	case l > addr.NetworkForward && l != addr.LayerReflect:
		return fmt.Errorf("%w: layer %v; %s has network, forward and reflect", divertdrv.ErrUnsupported, l, Name)
	case o.Readers > 1:
		return fmt.Errorf("%w: %d readers; %s has one queue for each handle and keeps its order", divertdrv.ErrUnsupported, o.Readers, Name)
	case o.CutThrough && o.Flags&uncut != 0:
		return fmt.Errorf("%w: CutThrough with the flags %v", divertdrv.ErrUnsupported, o.Flags&uncut)
	case o.CutThrough && d.config.FailClosed:
		return fmt.Errorf("%w: CutThrough with FailClosed: the judged flows of a process that was killed would go on", divertdrv.ErrUnsupported)
	}
	return nil
}

// uncut are the flags of handles where a judgement would mean nothing; at prerouting (Fragments) packets are counted before it is
// known whether they are for this host.
const uncut = addr.Sniff | addr.DropAll | addr.RecvOnly | addr.SendOnly | addr.Fragments

// inside runs f on a thread in the driver's namespace, and hands it a descriptor of that.
func (d *Driver) inside(f func(ns int) error) error {
	if d.config.Namespace == "" {
		ns, err := netns.Current()
		if err != nil {
			return err
		}
		defer unix.Close(ns) //nolint:errcheck // of what was only looked at
		return f(ns)
	}
	ns, err := unix.Open(d.config.Namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%w: network namespace %s: %w", divertdrv.ErrInvalid, d.config.Namespace, err)
	}
	defer unix.Close(ns) //nolint:errcheck // the same
	return netns.Do(ns, func() error { return f(ns) })
}

// open makes what the handle needs, on a thread in its namespace: the queue before the rules that name it, the rules last.
func (c *conn) open(ns int, o *divertdrv.Options) (err error) {
	if c.out.mtus.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := c.openWays(o); err != nil {
		return err
	}
	if err := c.openTable(ns, o.Priority); err != nil {
		return err
	}
	if err := c.openInjector(ns); err != nil {
		return err
	}
	space, err := spaceOf(ns)
	if err != nil {
		return err
	}
	if c.table == nil {
		return c.announce(space, o)
	}
	if err := c.install(c.driver.config.FailClosed); err != nil {
		return err
	}
	if err := c.announce(space, o); err != nil {
		return err
	}
	c.out.shift.foreign = c.driver.shared.foreign()
	c.driver.shared.enter(c)
	c.mender.start(c)
	if c.copier != nil {
		go c.copier.run(c.takeCopies)
	} else {
		c.keeper.start(c.keep)
	}
	return nil
}

// openWays makes that by which packets, or copies of them, come.
func (c *conn) openWays(o *divertdrv.Options) (err error) {
	if c.sendOnly {
		return nil
	}
	c.in.joiner.conn = c
	c.in.backlog.init(o.Overload)
	c.in.backlog.lose = c.lose
	c.in.backlog.passBy = func(t token) { c.end(t, true) }
	if c.sniffs {
		c.in.copies = tokenCopy
		if o.Overload == divertdrv.OverloadOpen {
			c.in.backlog.overload = divertdrv.OverloadClosed // the packet went on; its copy is lost, and counted
		}
		if c.copier, err = openCopier(); err != nil {
			return err
		}
		c.copier.more.L = &c.in.mu
		return nil
	}
	if c.dropAll && c.filters.exact() {
		if c.dropper, err = newCounter(); err != nil {
			return err
		}
	}
	return c.openQueue(o)
}

// openQueue takes a number that no rule names: the rules of a process that was killed, and was to fail closed, must not divert to us.
func (c *conn) openQueue(o *divertdrv.Options) (err error) {
	claims, err := rules.Claims(-1)
	if err != nil {
		return err
	}
	claimed := func(n uint16) bool {
		return slices.ContainsFunc(claims, func(c rules.Claim) bool { return c.First <= n && n <= c.Last })
	}
	c.queue, err = queue.Open(queue.Config{
		Length: queueLength, FailOpen: o.Overload == divertdrv.OverloadOpen, Avoid: claimed,
	})
	switch {
	case errors.Is(err, queue.ErrPrivilege):
		return fmt.Errorf("%w: %w", divertdrv.ErrAccess, err)
	case errors.Is(err, queue.ErrMissing):
		return fmt.Errorf("%w: %w", divertdrv.ErrUnsupported, err)
	case err != nil:
		return err
	}
	if o.CutThrough {
		if c.judged, err = judged.Open(); err != nil {
			return err
		}
	}
	c.in.verdict = verdicts{Verdicts: c.queue.NewVerdicts(), judged: c.judged}
	c.out.verdict = verdicts{Verdicts: c.queue.NewVerdicts(), judged: c.judged}
	return nil
}

// openTable makes the chains, which take no packets yet, and gives the handle its rank: what it is by the number of its opening it
// must be by its chains.
func (c *conn) openTable(ns int, priority int16) (err error) {
	rank := func() (err error) {
		c.rank, err = c.driver.shared.next(priority)
		return err
	}
	if c.sendOnly {
		err = rank()
	} else {
		c.table, err = rules.Open(rules.Config{
			Namespace: ns, Priority: priority, Hooks: c.filters.hooks(), Ordered: rank, FailClosed: c.driver.config.FailClosed,
		})
	}
	if err != nil || !c.driver.shared.registry.Alone() {
		return err
	}
	return refuseOthers(ns)
}

// refuseOthers is for a process that cannot know what others inject. It looks when its own table is there, so that of two such
// processes at least one sees the other.
func refuseOthers(ns int) error {
	others, err := rules.Others(ns)
	if err == nil && len(others) > 0 {
		err = fmt.Errorf("%w: another process has handles in this network namespace (table %s), and only with CAP_SYS_ADMIN "+
			"can one know the packets of the other", divertdrv.ErrAccess, others[0])
	}
	return err
}

// openInjector opens what injects and makes its keys known, so that only lower handles see what it puts in.
func (c *conn) openInjector(ns int) (err error) {
	if c.recvOnly {
		return nil
	}
	src := newSource()
	c.injector, err = reinject.Open(reinject.Config{Layer: c.layer, Inbound: true, Source: src, Namespace: ns})
	if err != nil {
		return err
	}
	keys := []uint64{src.key()}
	for _, fd := range c.injector.Sockets() {
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		if err != nil {
			return fmt.Errorf("cookie of a socket: %w", err)
		}
		keys = append(keys, cookie)
	}
	for _, key := range keys {
		if err := c.driver.shared.registry.Add(key, c.rank); err != nil {
			return err
		}
		c.keys = append(c.keys, key)
	}
	return nil
}
