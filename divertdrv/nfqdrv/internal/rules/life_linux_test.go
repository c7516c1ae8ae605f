package rules

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/netlink"
	"github.com/weirnet/weir/internal/nettest"
)

// process is another one with a table in the namespace here.
type process struct {
	*exec.Cmd
	in   io.WriteCloser
	name string
}

func (b *bench) process(how string) *process {
	b.Helper()
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), childEnv+"="+how)
	var err error
	p.in, err = p.StdinPipe()
	b.must(err)
	out, err := p.StdoutPipe()
	b.must(err, b.here.NS.Start(p.Cmd))
	b.Cleanup(p.kill)
	p.name, err = bufio.NewReader(out).ReadString('\n')
	b.must(err)
	p.name = strings.TrimSpace(p.name)
	if !slices.Contains(b.tables(), p.name) {
		b.Fatalf("the other process said %q", p.name)
	}
	return p
}

func (p *process) kill() {
	_ = p.Process.Kill()
	_ = p.Wait()
}

// eventually waits for what the kernel does after a process ended.
func (b *bench) eventually(what string, ok func() bool) {
	b.Helper()
	for until := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			b.Fatalf("not within 5 s: %s", what)
		}
	}
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	b := newBench(t)
	before := b.ruleset(b.here.NS)
	p := b.process("0")
	if n := b.send(b.there.V4, 3); n != 0 {
		t.Fatalf("%d of 3 passed the other process's drop", n)
	}
	p.kill()
	b.eventually("its table is gone", func() bool { return slices.Equal(b.ruleset(b.here.NS), before) })
	if n := b.send(b.there.V4, 3); n != 3 {
		t.Fatalf("%d of 3 pass", n)
	}
}

func TestProcessThatEndsLeavesNothing(t *testing.T) {
	b := newBench(t)
	before := b.ruleset(b.here.NS)
	p := b.process("0")
	b.must(p.in.Close(), p.Wait())
	if after := b.ruleset(b.here.NS); !slices.Equal(after, before) {
		t.Fatalf("left: %q", after)
	}
}

// Rules that fail closed stay when their process is killed, until rules that replace them are set.
func TestFailClosed(t *testing.T) {
	b := newBench(t)
	p := b.process("0 closed")
	p.kill()
	open, _ := Open(Config{Namespace: b.here.NS.FD(), Hooks: []Hook{Input}})
	b.must(open.Set(nil), open.Close())
	if n := b.send(b.there.V4, 3); n != 0 {
		t.Fatalf("%d of 3 pass what should fail closed", n)
	}
	next, err := Open(Config{Namespace: b.here.NS.FD(), Hooks: []Hook{Output}, FailClosed: true})
	b.must(err)
	if !slices.Contains(b.tables(), p.name) {
		t.Fatal("the old rules went before there were new ones")
	}
	b.must(next.Set([]Rule{{Hook: Output, Action: Drop}}))
	if got := b.tables(); !slices.Equal(got, []string{next.Name()}) {
		t.Fatalf("tables %v", got)
	}
	b.must(next.Close())
	if got := b.tables(); len(got) != 0 {
		t.Fatalf("tables %v after Close", got)
	}
	p = b.process("0 closed")
	p.kill()
	n, err := Sweep(b.here.NS.FD())
	if b.must(err); n != 1 || len(b.tables()) != 0 {
		t.Fatalf("swept %d, left %v", n, b.tables())
	}
}

// Where the kernel knows no owners, the next that opens takes away what the dead left, and nothing of the living.
func TestSweepWithoutOwner(t *testing.T) {
	b := newBench(t)
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, b.here.NS.FD())
	b.must(err)
	defer conn.Close()
	dead := exec.Command("true")
	b.must(dead.Run())
	mine := newName(false, false)
	gone := strings.Replace(mine, "-"+pid(os.Getpid())+"-", "-"+pid(dead.Process.Pid)+"-", 1)
	reused := strings.Replace(mine, "-"+pid(os.Getpid())+"-", "-1-", 1) // by a process that began at another time
	elsewhere := strings.Replace(gone, "open-", "open-9", 1)            // in another pid namespace
	foreign := []string{"weir-open-x-1-1-1", "weir-open-1-1", "weir", "filter", strings.Replace(gone, "weir", "weird", 1)}
	keep := append(foreign, mine, elsewhere)
	for _, name := range append([]string{gone, reused}, keep...) {
		batch := newBatch(0)
		batch.newTable(name, 0)
		b.must(batch.commit(conn))
	}
	_, err = sweep(conn, open)
	b.must(err)
	if got := b.tables(); !slices.Equal(got, keep) {
		t.Fatalf("left %q\nwant %q", got, keep)
	}
}

// A kernel before 5.12 refuses the owner flag. What it is told then is not owned, is ours to remove, and is nobody else's to sweep.
func TestWithoutOwner(t *testing.T) {
	b := newBench(t)
	owned := b.open(0, Output) // asks, so the answer is remembered
	known.mu.Lock()
	was := known.has[&tryOwner]
	known.has[&tryOwner] = false
	known.mu.Unlock()
	defer func() {
		known.mu.Lock()
		defer known.mu.Unlock()
		known.has[&tryOwner] = was
	}()
	one, two := b.open(1, Output), b.open(2, Output)
	for _, table := range []*Table{one, two} {
		if !strings.HasPrefix(table.Name(), prefix+open) || !slices.Contains(b.tables(), table.Name()) {
			t.Fatalf("%s is not there, or has the name of an owned table", table.Name())
		}
		b.must(table.Set([]Rule{{Hook: Output, Match: b.protocol(udp), Action: Drop}}))
	}
	if n, err := Sweep(b.here.NS.FD()); n != 0 || err != nil {
		t.Fatalf("swept %d tables of a living process, %v", n, err)
	}
	b.must(one.Close(), two.Close())
	if n := b.send(b.there.V4, 3); n != 3 {
		t.Fatalf("%d of 3 pass after Close", n)
	}
	b.must(owned.Close())
	if got := b.tables(); len(got) != 0 {
		t.Fatalf("left: %v", got)
	}
}

func TestOthers(t *testing.T) {
	b := newBench(t)
	keep, parked := b.open(0, Output), b.open(1, Output)
	b.must(parked.Close())
	others := func() []string {
		t.Helper()
		names, err := Others(b.here.NS.FD())
		b.must(err)
		return names
	}
	if got := others(); len(got) != 0 {
		t.Fatalf("%v are this process's", got)
	}
	p, dead := b.process("0"), b.process("0 closed")
	dead.kill()
	if got := others(); !slices.Equal(got, []string{p.name}) {
		t.Fatalf("%v, want %s alone", got, p.name)
	}
	p.kill()
	b.eventually("nobody else is there", func() bool { return len(others()) == 0 })
	b.must(keep.Close())
}

// A process with our pid, in another pid namespace, may have the name that is next.
func TestNamesThatAreTaken(t *testing.T) {
	b := newBench(t)
	first := b.open(0, Output)
	var n int
	if _, err := fmt.Sscanf(first.Name(), prefix+pid(os.Getpid())+"-%d", &n); err != nil {
		t.Fatalf("%s: %v", first.Name(), err)
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, b.here.NS.FD())
	b.must(err)
	defer conn.Close()
	taken := strings.TrimSuffix(first.Name(), pid(n)) + pid(n+1)
	batch := newBatch(0)
	batch.newTable(taken, 0)
	b.must(batch.commit(conn))
	if second := b.open(0, Output); second.Name() == taken {
		t.Fatalf("%s is another's", taken)
	}
}

func TestForeignRulesAreUntouched(t *testing.T) {
	b := newBench(t)
	nettest.Need(t, nettest.Program("nft", "nftables"))
	b.here.NS.Command("nft", `table inet weir { chain output { type filter hook output priority -32000; accept; }; }
		table ip filter { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; chain input { type filter hook input priority 0; ip saddr @s drop; }; }
		table inet fw { flags dormant; chain output { type filter hook output priority 5; drop; }; }`)
	before := b.here.NS.Command("nft", "-a", "list", "ruleset")
	for range 3 {
		table := b.open(0, Output, Input, Forward)
		b.must(table.Set([]Rule{{Hook: Output, Match: b.protocol(icmp), Action: Drop}}))
		_, err := Probe(b.here.NS.FD())
		b.must(err, table.Close())
	}
	if after := b.here.NS.Command("nft", "-a", "list", "ruleset"); after != before {
		t.Fatalf("before:\n%s\nafter:\n%s", before, after)
	}
	// And the other way round: the administrator's broom leaves what has another owner.
	table := b.open(0, Output)
	b.must(table.Set([]Rule{{Hook: Output, Match: b.protocol(udp), Action: Drop}}))
	b.here.NS.Command("nft", "flush", "ruleset")
	if got := b.tables(); !slices.Equal(got, []string{table.Name()}) || b.send(b.there.V4, 2) != 0 {
		t.Fatalf("after nft flush ruleset there are %v", got)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestThousandCyclesLeakNothing(t *testing.T) {
	b := newBench(t)
	empty := b.ruleset(b.here.NS)
	match := b.protocol(udp)
	cycle := func() {
		t, err := Open(Config{Namespace: b.here.NS.FD(), Hooks: []Hook{Output, Input}})
		b.must(err, t.Set([]Rule{{Hook: Output, Match: match, Action: Queue, To: To{Queue: 7, Bypass: true}}}), t.Close())
	}
	cycle()
	before := descriptors(t)
	for range 1000 {
		cycle()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
	if got := b.ruleset(b.here.NS); !slices.Equal(got, empty) {
		t.Errorf("%d objects are left", len(got))
	}
	if len(spaces.of) != 0 {
		t.Errorf("%d namespaces are remembered", len(spaces.of))
	}
}

// However many open at once, the numbers that Ordered was given last are in the order in which the chains are asked.
func TestOrderedAgreesWithTheKernel(t *testing.T) {
	b := newBench(t)
	const openers, each = 4, 5
	var number atomic.Int64
	type opened struct {
		table *Table
		at    int64
	}
	var mu sync.Mutex
	var all []opened
	var wg sync.WaitGroup
	for range openers {
		wg.Go(func() {
			for range each {
				var at int64
				cfg := Config{Namespace: b.here.NS.FD(), Hooks: []Hook{Output}}
				cfg.Ordered = func() error { at = number.Add(1); return nil }
				table := new(Table)
				table.cfg, table.name = cfg, newName(true, false)
				// As another process would: without the lock that this one has.
				var err error
				if table.conn, err = netlink.Dial(unix.NETLINK_NETFILTER, cfg.Namespace); err == nil {
					err = table.make()
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				all = append(all, opened{table, at})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.SortFunc(all, func(a, b opened) int { return int(b.at - a.at) }) // the newest first
	match := b.protocol(udp)
	for _, o := range all {
		b.must(o.table.Set([]Rule{{Hook: Output, Match: match, Action: Pass, Count: true}}))
	}
	for i, o := range all { // each in its turn drops, so those before it saw the packet and those after it did not
		b.must(o.table.Set([]Rule{{Hook: Output, Match: match, Action: Drop, Count: true}}))
		b.emit(b.there.V4, 1)
		b.must(o.table.Set([]Rule{{Hook: Output, Match: match, Action: Pass, Count: true}}))
		for j, other := range all {
			if saw := b.counters(other.table)[0].Packets; j < i && saw == 0 || j > i && saw != 0 {
				t.Fatalf("number %d drops: number %d saw %d packets", o.at, other.at, saw)
			}
			b.must(other.table.Set([]Rule{{Hook: Output, Match: match, Action: Pass, Count: true}}))
		}
	}
	for _, o := range all {
		b.must(o.table.conn.Close())
	}
}

func TestWithoutRights(t *testing.T) {
	nettest.Need(t, nettest.Root)
	done := make(chan error)
	go func() { done <- withoutNetAdmin() }()
	if err := <-done; !errors.Is(err, divertdrv.ErrAccess) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("without CAP_NET_ADMIN: %v", err)
	}
}
