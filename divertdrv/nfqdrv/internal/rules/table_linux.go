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
	native bool // the kernel has the queue statement

	mu     sync.Mutex // guards all below, and orders changes
	name   string
	conn   *netlink.Conn // the table's owner; nil: closed
	counts []int         // for each counter in the kernel's order, which rule has it
	rules  int
}

// Open makes the table with an empty chain for each hook: nothing is diverted yet. It needs CAP_NET_ADMIN.
func Open(cfg Config) (*Table, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Hooks = slices.Clone(cfg.Hooks)
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, cfg.Namespace)
	if err != nil {
		return nil, failed("open a netfilter socket", err, "CONFIG_NETFILTER_NETLINK")
	}
	t := &Table{cfg: cfg, conn: conn}
	if err := t.open(); err != nil {
		_ = conn.Close()
		return nil, err
	}
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

func (t *Table) open() (err error) {
	if t.native, err = hasNativeQueue(t.conn); err != nil {
		return err
	}
	owned := false
	if !t.cfg.FailClosed {
		if owned, err = hasOwner(t.conn); err != nil {
			return err
		}
	}
	if !owned {
		if err := sweep(t.conn, open); err != nil {
			return err
		}
	}
	t.name = newName(owned, t.cfg.FailClosed)
	return t.make(owned)
}

// make makes the table so that Ordered's number and the place among chains of the same priority agree: the transaction is refused
// if anything changed after the number was taken.
func (t *Table) make(owned bool) error {
	for range openTries {
		gen, err := generation(t.conn)
		if err != nil {
			return failed("ask for the generation of rules", err, "CONFIG_NF_TABLES")
		}
		if t.cfg.Ordered != nil {
			if err := t.cfg.Ordered(); err != nil {
				return err
			}
		}
		b := newBatch(gen)
		flags := uint32(0)
		if owned {
			flags = tableOwner
		}
		b.newTable(t.name, flags)
		for _, h := range t.cfg.Hooks {
			b.newChain(t.name, h, priorityBase-int32(t.cfg.Priority))
		}
		if err = b.commit(t.conn); !errors.Is(err, unix.ERESTART) {
			return failed("make the table "+t.name, err, "CONFIG_NF_TABLES_INET")
		}
	}
	return &Error{Op: "make the table " + t.name, Err: unix.EBUSY, Remedy: "some program changes nf_tables rules without pause"}
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
		return sweep(t.conn, closed)
	}
	return nil
}

// needed names what the kernel must have for the rules.
func needed(rules []Rule, native bool) string {
	options := "CONFIG_NF_TABLES_INET"
	if slices.ContainsFunc(rules, func(r Rule) bool { return r.Match != nil }) {
		options += ", CONFIG_NFT_COMPAT, CONFIG_NETFILTER_XT_MATCH_BPF"
	}
	if !native && slices.ContainsFunc(rules, func(r Rule) bool { return r.Action == Queue }) {
		options += ", CONFIG_NFT_QUEUE or CONFIG_NETFILTER_XT_TARGET_NFQUEUE with CONFIG_NFT_COMPAT"
	}
	return options
}

// Close removes the table and all that is in it. Closing twice is no error.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	b := newBatch(0)
	b.deleteTable(t.name)
	err := b.commit(t.conn)
	if errors.Is(err, unix.ENOENT) { // the administrator was faster; an owned table he cannot take
		err = nil
	}
	cerr := t.conn.Close()
	t.conn = nil
	return errors.Join(failed("remove the table "+t.name, err, "CONFIG_NF_TABLES"), cerr)
}

// Name is the table's, in family inet.
func (t *Table) Name() string { return t.name }
