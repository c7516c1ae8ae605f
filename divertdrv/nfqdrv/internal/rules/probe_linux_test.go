package rules

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/netlink"
)

func pid(n int) string { return strconv.Itoa(n) }

// withoutNetAdmin opens on a thread that lacks the capability.
func withoutNetAdmin() error {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_NET_ADMIN
	if err := unix.Capset(&head, &data[0]); err != nil {
		return err
	}
	if _, err := Probe(-1); !errors.Is(err, divertdrv.ErrAccess) {
		return errors.New("Probe did not mind")
	}
	_, err := Open(Config{Namespace: -1, Hooks: []Hook{Output}})
	return err
}

// What the probe says is what the kernel then does.
func TestProbeTellsTheTruth(t *testing.T) {
	b := newBench(t)
	before := len(b.ruleset(b.here.NS))
	found, err := Probe(b.here.NS.FD())
	b.must(err)
	if got := len(b.ruleset(b.here.NS)); got != before {
		t.Fatalf("probing left %d objects", got-before)
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, b.here.NS.FD())
	b.must(err)
	defer conn.Close()
	match := b.protocol(udp)
	real := map[string]func(b *batch, p *ebpf.Program){
		tryInet.Name: tryInet.ask, tryOwner.Name: tryOwner.ask, tryBPF.Name: tryBPF.ask,
		tryNative.Name: tryNative.ask, tryTarget.Name: tryTarget.ask, tryFib.Name: tryFib.ask, tryCounter.Name: tryCounter.ask,
	}
	for _, f := range found {
		batch := newBatch(0)
		real[f.Name](&batch, match)
		err := batch.commit(conn)
		if (err == nil) != (f.Err == nil) {
			t.Errorf("%s: probed %v, done %v", f.Name, f.Err, err)
		}
		if err == nil {
			batch = newBatch(0)
			batch.deleteTable(scratch)
			b.must(batch.commit(conn))
		}
		if f.Err != nil && f.Need {
			t.Errorf("%s: %v; %s", f.Name, f.Err, f.Remedy)
		}
		if f.Cost == "" || f.Remedy == "" {
			t.Errorf("%s: no word on cost or remedy", f.Name)
		}
	}
	if len(found) != len(real) {
		t.Errorf("%d features", len(found))
	}
}

func TestErrorsNameTheRemedy(t *testing.T) {
	for errno, want := range map[unix.Errno]struct {
		text string
		is   error
	}{
		unix.EPERM:      {"CAP_NET_ADMIN", divertdrv.ErrAccess},
		unix.ENOENT:     {"CONFIG_THIS", divertdrv.ErrUnsupported},
		unix.EOPNOTSUPP: {"CONFIG_THIS", divertdrv.ErrUnsupported},
		unix.ENOMEM:     {"cannot allocate memory", unix.ENOMEM},
	} {
		err := failed("set the rules", &netlink.Error{Errno: errno}, "CONFIG_THIS")
		if !errors.Is(err, want.is) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%v: %v", errno, err)
		}
		for _, other := range []error{divertdrv.ErrAccess, divertdrv.ErrUnsupported} {
			if other != want.is && errors.Is(err, other) {
				t.Errorf("%v is %v too", err, other)
			}
		}
	}
	if failed("x", nil, "y") != nil {
		t.Error("nil became an error")
	}
}

// What this kernel lacks is reported by name: of the two ways to queue it may lack one.
func TestLackIsNamed(t *testing.T) {
	b := newBench(t)
	table := b.open(0, Output)
	table.native = !table.native
	err := table.Set([]Rule{{Hook: Output, Action: Queue}})
	if err != nil && (!errors.Is(err, divertdrv.ErrUnsupported) || !strings.Contains(err.Error(), "CONFIG_NF")) {
		t.Errorf("%v", err)
	}
	table.native = !table.native
	b.must(table.Set([]Rule{{Hook: Output, Action: Queue}}))
}
