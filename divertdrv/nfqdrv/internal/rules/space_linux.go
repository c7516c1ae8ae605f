package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
	"github.com/weirnet/weir/internal/netns"
)

// parkedMax bounds the parked tables of a namespace. The oldest makes room, at the price of what is queued then; it takes
// that many handles of different priorities at once to get there.
const parkedMax = 256

// A spaceID names a network namespace: the device and inode of its descriptor.
type spaceID struct{ dev, ino uint64 }

// space is what this process has in a network namespace. Tables hold sockets there, so its id is not used again meanwhile.
type space struct {
	live   map[string]bool // by name
	parked []*parked       // oldest first
}

// parked is a table with chains and no rules.
type parked struct {
	name       string
	conn       *netlink.Conn
	priority   int16
	hooks      []Hook
	failClosed bool
}

var spaces struct {
	mu sync.Mutex // guards of and all in it; held while a table is opened or closed, so this process does one at a time
	of map[spaceID]*space
}

// spaceOf identifies a namespace (-1: the caller's).
func spaceOf(namespace int) (spaceID, error) {
	if namespace < 0 {
		fd, err := netns.Current()
		if err != nil {
			return spaceID{}, err
		}
		defer func() { _ = unix.Close(fd) }()
		namespace = fd
	}
	var st unix.Stat_t
	if err := unix.Fstat(namespace, &st); err != nil {
		return spaceID{}, fmt.Errorf("rules: the network namespace: %w", err)
	}
	return spaceID{dev: uint64(st.Dev), ino: st.Ino}, nil //nolint:unconvert // 32 bits on some architectures
}

// enter notes a table that is in use. spaces.mu is held.
func enter(id spaceID, name string) {
	if spaces.of == nil {
		spaces.of = make(map[spaceID]*space)
	}
	s := spaces.of[id]
	if s == nil {
		s = &space{live: make(map[string]bool)}
		spaces.of[id] = s
	}
	s.live[name] = true
}

// leave parks a table that was in use, or removes all if it was the last. spaces.mu is held.
func leave(id spaceID, p *parked) error {
	s := spaces.of[id]
	delete(s.live, p.name)
	s.parked = append(s.parked, p)
	if len(s.live) > 0 && len(s.parked) <= parkedMax {
		b := newBatch(0)
		for _, h := range p.hooks {
			b.flush(p.name, h)
		}
		err := b.commit(p.conn)
		if err == nil {
			return nil
		}
		s.parked = s.parked[:len(s.parked)-1]
		return errors.Join(failed("remove the rules of "+p.name, err, "CONFIG_NF_TABLES"), p.remove())
	}
	gone := s.parked[:1]
	if len(s.live) == 0 {
		delete(spaces.of, id)
		gone = s.parked
	}
	s.parked = s.parked[len(gone):]
	var errs []error
	for _, p := range gone {
		errs = append(errs, p.remove())
	}
	return errors.Join(errs...)
}

// Others names the tables of other processes' handles in a namespace (-1: the caller's), but for those whose process is dead.
func Others(namespace int) (names []string, err error) {
	id, err := spaceOf(namespace)
	if err != nil {
		return nil, err
	}
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, namespace)
	if err != nil {
		return nil, failed("open a netfilter socket", err, "CONFIG_NETFILTER_NETLINK")
	}
	defer c.Close()
	spaces.mu.Lock() // so that none of ours is between the kernel and the books
	defer spaces.mu.Unlock()
	all, err := list(c)
	for _, name := range all {
		if strings.HasPrefix(name, prefix) && !spaces.of[id].has(name) && !orphan(name, open) && !orphan(name, closed) {
			names = append(names, name)
		}
	}
	return names, err
}

// has reports whether a table is this process's. A space that is not there has none.
func (s *space) has(name string) bool {
	return s != nil && (s.live[name] || slices.ContainsFunc(s.parked, func(p *parked) bool { return p.name == name }))
}

// remove removes the table for good.
func (p *parked) remove() error {
	b := newBatch(0)
	b.deleteTable(p.name)
	err := b.commit(p.conn)
	if errors.Is(err, unix.ENOENT) { // the administrator was faster; an owned table he cannot take
		err = nil
	}
	return errors.Join(failed("remove the table "+p.name, err, "CONFIG_NF_TABLES"), p.conn.Close())
}

// unpark takes the parked table that serves the configuration, if its chains are the newest of their priority. spaces.mu is held.
func unpark(id spaceID, cfg *Config) (*parked, error) {
	s := spaces.of[id]
	if s == nil {
		return nil, nil
	}
	for i, p := range slices.Backward(s.parked) {
		if p.priority != cfg.Priority || p.failClosed != cfg.FailClosed || !slices.Equal(p.hooks, cfg.Hooks) {
			continue
		}
		if ok, err := p.claim(cfg); err != nil {
			return nil, err
		} else if ok {
			s.parked = slices.Delete(s.parked, i, i+1)
			return p, nil
		}
	}
	return nil, nil
}

// claim takes a number by Ordered for a table that is there, if it is the newest of its priority then. The rule that it sets only
// counts as a change: without one, another process would not know that its number came after ours.
func (p *parked) claim(cfg *Config) (ok bool, err error) {
	err = ordered(p.conn, cfg, func(b *batch) error {
		ok, err = newest(p.conn, p.name, p.hooks, priorityBase-int32(p.priority))
		if ok {
			b.flush(p.name, p.hooks[0])
			b.newRule(p.name, p.hooks[0].String(), func(e *exprs) { e.verdict(verdictAccept) })
		}
		return err
	})
	return ok, err
}

// newest reports whether the table is the last made of ours, in any process, with a chain at one of the hooks and of this
// priority: between chains of different hooks there is no order, and to count them would never let a parked table be taken again.
func newest(c *netlink.Conn, name string, hooks []Hook, priority int32) (bool, error) {
	made, err := handles(c)
	if err != nil {
		return false, err
	}
	last := uint64(0)
	m := nft(unix.NFT_MSG_GETCHAIN, 0, func(*netlink.Attrs) {})
	err = dump(c, m, func() { last = 0 }, func(m netlink.Message) error {
		ch, err := readChain(m)
		if err == nil && ch.base && ch.priority == priority && slices.Contains(hooks, ch.hook) && strings.HasPrefix(ch.table, prefix) {
			last = max(last, made[ch.table])
		}
		return err
	})
	return err == nil && last != 0 && made[name] == last, failed("list chains", err, "CONFIG_NF_TABLES")
}

// chain is what is asked of one.
type chain struct {
	table    string
	base     bool
	hook     Hook  // valid iff base
	priority int32 // likewise
}

// readChain reads what the kernel tells of a chain.
func readChain(m netlink.Message) (ch chain, err error) {
	err = each(m, func(typ uint16, v []byte) error {
		switch typ {
		case unix.NFTA_CHAIN_TABLE:
			ch.table = netlink.Text(v)
		case unix.NFTA_CHAIN_HOOK:
			return netlink.Each(v, func(typ uint16, v []byte) error {
				switch {
				case len(v) != 4:
				case typ == unix.NFTA_HOOK_HOOKNUM:
					ch.hook = Hook(binary.BigEndian.Uint32(v))
				case typ == unix.NFTA_HOOK_PRIORITY:
					ch.base, ch.priority = true, int32(binary.BigEndian.Uint32(v))
				}
				return nil
			})
		}
		return nil
	})
	return ch, err
}

// handles maps the tables of family inet to the numbers in whose order they were made; 0: the kernel does not tell (before 4.17).
func handles(c *netlink.Conn) (map[string]uint64, error) {
	made := make(map[string]uint64)
	m := nft(unix.NFT_MSG_GETTABLE, 0, func(*netlink.Attrs) {})
	err := dump(c, m, func() { clear(made) }, func(m netlink.Message) error {
		name, handle := "", uint64(0)
		err := each(m, func(typ uint16, v []byte) error {
			switch {
			case typ == unix.NFTA_TABLE_NAME:
				name = netlink.Text(v)
			case typ == tableHandle && len(v) == 8:
				handle = binary.BigEndian.Uint64(v)
			}
			return nil
		})
		made[name] = handle
		return err
	})
	return made, failed("list tables", err, "CONFIG_NF_TABLES")
}
