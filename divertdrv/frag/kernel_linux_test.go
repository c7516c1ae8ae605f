package frag_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// The kernel as a witness, in a network namespace of the test's own: it joins our fragments, over IPv4 and IPv6, and gives the
// message to a UDP socket; our segments it takes as one message each.
func TestKernelTakesThem(t *testing.T) {
	inNamespace(t, func() error {
		for _, v6 := range []bool{false, true} {
			if err := throughKernel(v6); err != nil {
				return fmt.Errorf("IPv6 %v: %w", v6, err)
			}
		}
		return nil
	})
}

func throughKernel(v6 bool) error {
	const port = 9009
	in, err := openReceiver(v6, port)
	if err != nil {
		return err
	}
	defer syscall.Close(in)
	out, err := openSender(v6)
	if err != nil {
		return err
	}
	defer syscall.Close(out)
	if err := segmentsThroughKernel(in, out, v6, port); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 2))
	for id := range uint32(60) {
		payload := make([]byte, 100+r.IntN(65000-100))
		for i := range payload {
			payload[i] = byte(r.Uint32())
		}
		pieces, err := cutForKernel(v6, port, id+1, payload, r)
		if err != nil {
			return err
		}
		r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		for _, p := range pieces {
			if err := sendRaw(out, v6, p); err != nil {
				return err
			}
		}
		got := make([]byte, 1<<16)
		n, _, err := syscall.Recvfrom(in, got, 0)
		if err != nil {
			return fmt.Errorf("%d bytes in %d fragments did not arrive: %w", len(payload), len(pieces), err)
		}
		if !bytes.Equal(got[:n], payload) {
			return fmt.Errorf("%d bytes in %d fragments: %d others arrived", len(payload), len(pieces), n)
		}
	}
	return nil
}

func segmentsThroughKernel(in, out int, v6 bool, port uint16) error {
	payload := bytes.Repeat([]byte("twelve bytes"), 300)
	b := loopbackUDP(v6, port, 900, payload)
	var h wire.Headers
	wire.Parse(b, &h)
	var c frag.Cutter
	got := make([]byte, 1<<16)
	return c.Segment(b, &h, 1000, func(p []byte) error {
		if err := sendRaw(out, v6, p); err != nil {
			return err
		}
		n, _, err := syscall.Recvfrom(in, got, 0)
		if err != nil {
			return fmt.Errorf("a segment did not arrive: %w", err)
		}
		if want := payload[:min(1000, len(payload))]; !bytes.Equal(got[:n], want) {
			return fmt.Errorf("a segment of %d bytes arrived with %d", len(want), n)
		}
		payload = payload[min(1000, len(payload)):]
		return nil
	})
}

// cutForKernel makes fragments of a UDP packet from the host to itself, one of them cut again.
func cutForKernel(v6 bool, port uint16, id uint32, payload []byte, r *rand.Rand) (pieces [][]byte, err error) {
	b := loopbackUDP(v6, port, uint16(id), payload)
	var h wire.Headers
	wire.Parse(b, &h)
	l := frag.Limit{MTU: 600 + r.IntN(3000), Sender: true, ID: id}
	var c, again frag.Cutter
	err = c.Fragment(b, &h, l, func(p []byte) error {
		var hp wire.Headers
		wire.Parse(p, &hp)
		if len(pieces) != 1 || !hp.Fragment {
			pieces = append(pieces, slices.Clone(p))
			return nil
		}
		return again.Fragment(p, &hp, frag.Limit{MTU: 400, Sender: true}, func(p []byte) error {
			pieces = append(pieces, slices.Clone(p))
			return nil
		})
	})
	return pieces, err
}

func loopbackUDP(v6 bool, port, id uint16, payload []byte) []byte {
	udp := make([]byte, wire.UDPHeaderLen, wire.UDPHeaderLen+len(payload))
	u := (*wire.UDPHeader)(udp)
	u.SetSrcPort(port)
	u.SetDstPort(port)
	u.SetLength(uint16(8 + len(payload)))
	udp = append(udp, payload...)
	b := fragmentOf(v6, id, wire.ProtoUDP, piece{0, len(udp), false, 0})
	if v6 {
		b = slices.Concat(b[:40], udp)
		ip := (*wire.IPv6Header)(b)
		ip.SetNextHeader(wire.ProtoUDP)
		ip.SetPayloadLength(uint16(len(udp)))
		clear(b[8:40])
		b[23], b[39] = 1, 1
		return checksummed(b)
	}
	b = slices.Concat(b[:20], udp)
	copy(b[12:20], []byte{127, 0, 0, 1, 127, 0, 0, 1})
	return checksummed(b)
}

func openReceiver(v6 bool, port int) (int, error) {
	domain, addr := syscall.AF_INET, syscall.Sockaddr(&syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
	if v6 {
		domain, addr = syscall.AF_INET6, &syscall.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}
	}
	fd, err := syscall.Socket(domain, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	tv := syscall.Timeval{Sec: 5}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv); err != nil {
		return 0, err
	}
	return fd, syscall.Bind(fd, addr)
}

// openSender opens a socket to which whole IP packets are written.
func openSender(v6 bool) (int, error) {
	domain := syscall.AF_INET
	if v6 {
		domain = syscall.AF_INET6
	}
	return syscall.Socket(domain, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.IPPROTO_RAW)
}

func sendRaw(fd int, v6 bool, p []byte) error {
	if v6 {
		return syscall.Sendto(fd, p, 0, &syscall.SockaddrInet6{Addr: [16]byte{15: 1}})
	}
	return syscall.Sendto(fd, p, 0, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
}

// inNamespace runs f on a thread in a new network namespace whose loopback device is up. Without the right to make one the test
// is skipped.
func inNamespace(t *testing.T, f func() error) {
	t.Helper()
	skip, failed := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, and the namespace with it
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			skip <- err
			return
		}
		if err := loopbackUp(); err != nil {
			failed <- err
			return
		}
		failed <- f()
	}()
	select {
	case err := <-skip:
		t.Skipf("SKIPPED: no right to make a network namespace (%v); run as root", err)
	case err := <-failed:
		if err != nil {
			t.Fatal(err)
		}
	}
}

func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("raising lo: %w", errno)
	}
	return nil
}
