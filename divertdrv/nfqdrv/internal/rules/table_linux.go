package rules

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// Config says where a handle's table is.
type Config struct {
	Namespace int    // a descriptor of the network namespace; -1: the caller's
	Priority  int16  // -30000..30000, higher is asked first
	Hooks     []Hook // each at most once; a chain is asked for each of their packets, so name no more than needed

	// Ordered is called, maybe more than once, before the table is made: what it is given last is in the same order
	// between all who open with this priority as their tables are. Nil: nobody needs to know.
	Ordered func() error

	// FailClosed: the table is not the kernel's to remove when this process is killed. What its rules queue without To.Bypass is
	// dropped from then on, until the next FailClosed table of a handle replaces it (see Table.Set), or Sweep.
	FailClosed bool
}

const (
	priorityBase = -32000
	priorityMax  = 30000
	openTries    = 1000 // others change rules meanwhile; each try that fails means that somebody else got on
)

// Table is a handle's rules. Its methods may be called from any goroutine. A table that is not closed goes with the process.
type Table struct {
	cfg    Config
	space  spaceID
	name   string
	native bool // the kernel has the queue statement

	mu     sync.Mutex    // guards all below, and orders changes
	conn   *netlink.Conn // the table's owner; nil: closed
	counts []int         // for each counter in the kernel's order, which rule has it
	rules  int
}

// Open makes the table with a chain for each hook that lets every packet pass: nothing is diverted yet. It needs CAP_NET_ADMIN.
func Open(cfg Config) (*Table, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Hooks = slices.Sorted(slices.Values(cfg.Hooks))
	id, err := spaceOf(cfg.Namespace)
	if err != nil {
		return nil, err
	}
	spaces.mu.Lock()
	defer spaces.mu.Unlock()
	t := &Table{cfg: cfg, space: id}
	p, err := unpark(id, &t.cfg)
	if err != nil {
		return nil, err
	}
	if p != nil {
		t.conn, t.name = p.conn, p.name
		t.native, err = hasNativeQueue(t.conn) // remembered
	} else {
		err = t.dial()
	}
	if err != nil {
		return nil, err
	}
	enter(id, t.name)
	return t, nil
}

func (c *Config) check() error {
	if c.Priority < -priorityMax || c.Priority > priorityMax {
		return fmt.Errorf("rules: priority %d is not within -%d..%d", c.Priority, priorityMax, priorityMax)
	}
	for i, h := range c.Hooks {
		if h >= hookCount || slices.Contains(c.Hooks[:i], h) {
			return fmt.Errorf("rules: hook %d, %v, is unknown or named twice", i, h)
		}
	}
	if len(c.Hooks) == 0 {
		return errors.New("rules: no hook")
	}
	return nil
}

// dial opens a socket and makes a table with it.
func (t *Table) dial() error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, t.cfg.Namespace)
	if err != nil {
		return failed("open a netfilter socket", err, "CONFIG_NETFILTER_NETLINK")
	}
	t.conn = conn
	if err := t.make(); err != nil {
		_ = conn.Close()
		return err
	}
	return nil
}

func (t *Table) make() (err error) {
	if t.native, err = hasNativeQueue(t.conn); err != nil {
		return err
	}
	owned := false
	if !t.cfg.FailClosed {
		if owned, err = hasOwner(t.conn); err != nil {
			return err
		}
	}
	flags := uint32(tableOwner)
	if !owned {
		flags = 0
		if _, err := sweep(t.conn, open); err != nil {
			return err
		}
	}
	for range openTries {
		t.name = newName(owned, t.cfg.FailClosed)
		if err = t.create(flags); !errors.Is(err, unix.EEXIST) { // the name of a process with our pid in another pid namespace
			return err
		}
	}
	return err
}

func (t *Table) create(flags uint32) error {
	return ordered(t.conn, &t.cfg, func(b *batch) error {
		b.newTable(t.name, flags)
		for _, h := range t.cfg.Hooks {
			b.newChain(t.name, h, priorityBase-int32(t.cfg.Priority))
		}
		return nil
	})
}

// ordered commits what fill puts in a transaction, so that Ordered's number and the place among chains of the same priority agree:
// the kernel refuses the transaction if anything changed since before the number was taken, and then all is done again.
func ordered(c *netlink.Conn, cfg *Config, fill func(b *batch) error) error {
	for range openTries {
		gen, err := generation(c)
		if err != nil {
			return failed("ask for the generation of rules", err, "CONFIG_NF_TABLES")
		}
		b := newBatch(gen)
		if err := fill(&b); err != nil || len(b) == 1 { // nothing to do
			return err
		}
		if cfg.Ordered != nil {
			if err := cfg.Ordered(); err != nil {
				return err
			}
		}
		if err = b.commit(c); !errors.Is(err, unix.ERESTART) {
			return failed("make a table", err, "CONFIG_NF_TABLES_INET")
		}
	}
	return &Error{Op: "make a table", Err: unix.EBUSY, Remedy: "some program changes nf_tables rules without pause"}
}

// ErrClosed: the table was closed.
var ErrClosed = errors.New("rules: the table is closed")

// Set replaces all rules of the table by these, at once: every packet meets either the old rules or the new ones. No rules: every
// packet passes. Packets that the old rules queued are still in their queues.
func (t *Table) Set(rules []Rule) error {
	if err := check(rules, t.cfg.Hooks); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return ErrClosed
	}
	b := newBatch(0)
	for _, h := range t.cfg.Hooks {
		b.flush(t.name, h)
	}
	for i := range rules {
		b.newRule(t.name, rules[i].Hook.String(), func(e *exprs) { e.rule(&rules[i], t.native) })
	}
	if err := b.commit(t.conn); err != nil {
		return failed("set the rules of "+t.name, err, needed(rules, t.native))
	}
	t.rules, t.counts = len(rules), counted(rules, t.cfg.Hooks)
	if t.cfg.FailClosed {
		_, err := sweep(t.conn, closed)
		return err
	}
	return nil
}

// needed names what the kernel must have for the rules.
func needed(rules []Rule, native bool) string {
	options := "CONFIG_NF_TABLES_INET"
	if slices.ContainsFunc(rules, func(r Rule) bool { return r.Match != nil }) {
		options += ", CONFIG_NFT_COMPAT, CONFIG_NETFILTER_XT_MATCH_BPF"
	}
	if slices.ContainsFunc(rules, func(r Rule) bool { return r.Local }) {
		options += ", CONFIG_NFT_FIB_INET"
	}
	if slices.ContainsFunc(rules, func(r Rule) bool { return r.Count }) {
		options += ", CONFIG_NFT_COUNTER"
	}
	if !native && slices.ContainsFunc(rules, func(r Rule) bool { return r.Action == Queue }) {
		options += ", CONFIG_NFT_QUEUE or CONFIG_NETFILTER_XT_TARGET_NFQUEUE with CONFIG_NFT_COMPAT"
	}
	return options
}

// Close ends the rules and parks the table, or removes it, and those that are parked, if it is the process's last one in the
// namespace. Nothing that is queued is lost by parking. Closing twice is no error.
func (t *Table) Close() error {
	spaces.mu.Lock()
	defer spaces.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	conn := t.conn
	t.conn = nil
	return leave(t.space, &parked{t.name, conn, t.cfg.Priority, t.cfg.Hooks, t.cfg.FailClosed})
}

// Name is the table's, in family inet.
func (t *Table) Name() string { return t.name }
