package nfqdrv_test

import (
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
)

// burst is how many datagrams a blaster sends with one system call.
const burst = 64

// blaster sends datagrams of 64 bytes from the bench's host as fast as it can.
type blaster struct {
	fd   int
	data [64]byte
	vec  unix.Iovec
	msgs [burst]struct {
		hdr unix.Msghdr
		n   uint32
	}
}

func newBlaster(t testing.TB, b *bench) *blaster {
	s := &blaster{}
	var err error
	b.here.NS.Do(func() {
		if s.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.Connect(s.fd, &unix.SockaddrInet4{Port: 9, Addr: b.there.V4.As4()})
		}
	})
	if err == nil {
		err = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 64<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.there.NS.Command("iptables-nft", "-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "9", "-j", "DROP") // no answers
	t.Cleanup(func() { _ = unix.Close(s.fd) })
	s.vec.Base = &s.data[0]
	s.vec.SetLen(len(s.data))
	for i := range s.msgs {
		s.msgs[i].hdr.Iov = &s.vec
		s.msgs[i].hdr.SetIovlen(1)
	}
	return s
}

func (s *blaster) send() {
	_, _, _ = unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.msgs[0])), burst, 0, 0, 0)
}

// BenchmarkPath compares a datagram's way out of the host without a handle, with one whose filter does not match, and with one
// that diverts and passes it. One goroutine does all, so the time is that of one processor.
//
//	go test -run '^$' -bench Path -count 5 ./divertdrv/nfqdrv
func BenchmarkPath(b *testing.B) {
	for _, c := range []struct {
		name, filter string
		cut          bool
	}{
		{"none", "", false},
		{"no-match", "udp.DstPort == 10", false},
		{"pass", "udp.DstPort == 9", false},
		{"pass-countable", "udp.DstPort == 9", true}, // what CutThrough costs a packet that is received
		{"judged", "udp.DstPort == 9", true},
	} {
		b.Run(c.name, func(b *testing.B) {
			bn := newBench(b)
			s := newBlaster(b, bn)
			if c.filter == "" {
				for b.Loop() {
					s.send()
				}
				perPacket(b)
				return
			}
			h := bn.open(c.filter, divertdrv.Options{CutThrough: c.cut})
			batch := divertdrv.NewBatch(burst, 1<<20)
			if c.name == "judged" {
				over := start(b, h, judgeAll(b, h))
				waitFor(b, "a judged flow", func() bool { s.send(); return h.Stats().CutThrough > 0 })
				defer func() { _ = h.Close(); <-over }()
				b.ResetTimer()
			}
			for b.Loop() {
				s.send()
				if c.name == "pass" || c.name == "pass-countable" {
					relayBurst(b, h, batch)
				}
			}
			perPacket(b)
		})
	}
}

func relayBurst(t testing.TB, h *divertdrv.Handle, b *divertdrv.Batch) {
	for got := 0; got < burst; {
		if err := h.Recv(b); err != nil {
			t.Fatal(err)
		}
		got += b.Len()
		for i := range b.Packets() {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
		if err := h.Complete(b); err != nil {
			t.Fatal(err)
		}
	}
}

func perPacket(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/burst, "ns/packet")
}

// The law of the hot path: nothing is allocated for a packet.
func TestAllocs(t *testing.T) {
	b := newBench(t)
	s := newBlaster(t, b)
	h := b.open("udp.DstPort == 9", divertdrv.Options{})
	batch := divertdrv.NewBatch(burst, 1<<20)
	relayBurst := func() {
		s.send()
		relayBurst(t, h, batch)
	}
	relayBurst()
	noAllocs(t, relayBurst)
}

// noAllocs asserts that nothing is allocated for a burst of packets. While handles of other processes open, what waits is remembered:
// so one of some tries must be without.
func noAllocs(t *testing.T, relayBurst func()) {
	t.Helper()
	var all []float64
	for range 20 {
		allocs := testing.AllocsPerRun(100, relayBurst)
		if allocs < 1 {
			return
		}
		all = append(all, allocs)
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%v allocations for %d packets, want 0", all, burst)
}
