package nfqdrv_test

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
	"github.com/weirnet/weir/internal/netlink"
	"github.com/weirnet/weir/internal/nettest"
)

// openWithThree opens a handle in the namespace here with CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, and no other right.
func (b *bench) openWithThree() (h *divertdrv.Handle, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		b.here.NS.Do(func() {
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			for _, c := range []int{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_BPF} {
				data[c/32].Permitted |= 1 << (c % 32)
				data[c/32].Effective |= 1 << (c % 32)
			}
			if err = unix.Capset(&head, &data[0]); err == nil {
				h, err = divertdrv.Open("outbound and icmp", divertdrv.Network, &divertdrv.Options{Driver: nfqdrv.New(nfqdrv.Config{})})
			}
		})
	}()
	<-done
	return h, err
}

// Three capabilities are enough to divert; but who cannot know what another process injects does not divert beside it.
func TestThreeCapabilities(t *testing.T) {
	b := newBench(t)
	h, err := b.openWithThree()
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.openWithThree() // the same process knows its own
	if err != nil {
		t.Fatal(err)
	}
	relay(t, h, nil)
	relay(t, second, nil)
	if n, err := nettest.Ping(b.here.NS, b.there.V4, nettest.Echo{Count: 3}); n != 3 || err != nil {
		t.Errorf("%d of 3 answers, %v", n, err)
	}
	if a, b := h.Stats().Received, second.Stats().Received; a != 3 || b != 3 {
		t.Errorf("received %d and %d of 3", a, b)
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, b.here.NS.FD())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	makeTable(t, conn, "weir-1-1") // as of a process with pid 1
	if others, err := rules.Others(b.here.NS.FD()); len(others) != 1 || err != nil {
		t.Fatalf("%v, %v", others, err)
	}
	if _, err := b.openWithThree(); !errors.Is(err, divertdrv.ErrAccess) {
		t.Errorf("beside another process's handle: %v", err)
	}
}

func makeTable(t *testing.T, c *netlink.Conn, name string) {
	t.Helper()
	subsystem := func(family uint8) netlink.Attrs { return netlink.Attrs{family, 0, 0, unix.NFNL_SUBSYS_NFTABLES} }
	table := netlink.Attrs{unix.NFPROTO_INET, 0, 0, 0}
	table.String(unix.NFTA_TABLE_NAME, name)
	err := c.Do(
		netlink.Message{Type: unix.NFNL_MSG_BATCH_BEGIN, Body: subsystem(unix.AF_UNSPEC)},
		netlink.Message{
			Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE, Flags: unix.NLM_F_ACK | unix.NLM_F_CREATE, Body: table,
		},
		netlink.Message{Type: unix.NFNL_MSG_BATCH_END, Body: subsystem(unix.AF_UNSPEC)},
	)
	if err != nil {
		t.Fatal(err)
	}
}
