package nettest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// StreamHeader is the least size of a datagram of a stream: its number and its length, 8 bytes.
	StreamHeader = 8

	streamTime = 30 * time.Second // a sink that sees nothing for so long, or a sender that cannot send, has failed
	quietTime  = 300 * time.Millisecond
	sinkBuffer = 16 << 20
)

// Stream is a run of numbered datagrams.
type Stream struct {
	Count int           // datagrams
	Size  int           // bytes of payload of each, at least StreamHeader
	First uint32        // the number of the first
	Every time.Duration // pause after each Burst; 0: none
	Burst int           // 0: 1
}

// fill writes datagram n of the stream into b: the number, the length, then bytes that follow from both.
func fill(b []byte, n uint32) {
	binary.BigEndian.PutUint32(b, n)
	binary.BigEndian.PutUint32(b[4:], uint32(len(b)))
	for i := StreamHeader; i < len(b); i++ {
		b[i] = byte(int(n) + i)
	}
}

// SendUDP sends a stream from a namespace and returns the sender's address. It blocks until all is sent.
func SendUDP(t testing.TB, from *Namespace, to netip.AddrPort, s Stream) netip.AddrPort {
	t.Helper()
	src := DialUDP(t, from, to)
	defer src.conn.Close()
	src.Send(s)
	return src.Addr()
}

// Source sends streams from one address to one sink.
type Source struct {
	t    testing.TB
	conn *net.UDPConn
}

// DialUDP opens a source in a namespace.
func DialUDP(t testing.TB, from *Namespace, to netip.AddrPort) *Source {
	t.Helper()
	var conn *net.UDPConn
	var err error
	from.Do(func() { conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Source{t, conn}
}

// Send sends a stream, and blocks until all is sent.
func (s *Source) Send(stream Stream) {
	s.t.Helper()
	if err := stream.write(s.conn); err != nil {
		s.t.Fatal(err)
	}
}

// Addr is where it sends from.
func (s *Source) Addr() netip.AddrPort { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (s Stream) write(conn net.Conn) error {
	b := make([]byte, max(s.Size, StreamHeader))
	for i := range s.Count {
		fill(b, s.First+uint32(i))
		if err := conn.SetWriteDeadline(time.Now().Add(streamTime)); err != nil {
			return err
		}
		// An ICMP error of an earlier one is no error of this one, and one that a rule of this host dropped was sent.
		if _, err := conn.Write(b); err != nil && !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("datagram %d of %d: %w", i, s.Count, err)
		}
		if s.Every > 0 && (i+1)%max(s.Burst, 1) == 0 {
			time.Sleep(s.Every)
		}
	}
	return nil
}

// Arrival is what a sink saw.
type Arrival struct {
	Received   int // distinct numbers
	Duplicates int
	Reordered  int // came after a higher number
	Damaged    int // the bytes are not those that were sent
	Missing    int // of the numbers up to the highest that came, from the lowest
}

// Sink receives streams.
type Sink struct {
	t    testing.TB
	conn *net.UDPConn
	seen map[uint32]bool
	top  uint32
	low  uint32
	got  Arrival
}

// ListenUDP opens a sink at an address of a namespace; port 0 takes a free one. Its socket buffers some 10,000 datagrams.
func ListenUDP(t testing.TB, at *Namespace, addr netip.AddrPort) *Sink {
	t.Helper()
	var conn *net.UDPConn
	var err error
	at.Do(func() { conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := bufferForce(conn, sinkBuffer); err != nil {
		t.Fatal(err)
	}
	return &Sink{t: t, conn: conn, seen: make(map[uint32]bool)}
}

func bufferForce(conn *net.UDPConn, size int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
	}); err != nil {
		return err
	}
	return serr
}

// Addr is where the sink listens.
func (s *Sink) Addr() netip.AddrPort {
	return s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Wait reads until n distinct datagrams came in all, or none for a while (300 ms), and returns the count since the sink was made.
func (s *Sink) Wait(n int) Arrival {
	s.t.Helper()
	return s.read(n, quietTime)
}

// WaitQuiet is Wait with another pause that ends it.
func (s *Sink) WaitQuiet(n int, quiet time.Duration) Arrival {
	s.t.Helper()
	return s.read(n, quiet)
}

func (s *Sink) read(n int, quiet time.Duration) Arrival {
	s.t.Helper()
	b := make([]byte, 1<<16)
	for until := time.Now().Add(streamTime); s.got.Received < n && time.Now().Before(until); {
		if err := s.conn.SetReadDeadline(time.Now().Add(quiet)); err != nil {
			s.t.Fatal(err)
		}
		size, _, err := s.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.take(b[:size])
	}
	if s.got.Received > 0 {
		s.got.Missing = int(s.top-s.low) + 1 - s.got.Received
	}
	return s.got
}

func (s *Sink) take(b []byte) {
	if len(b) < StreamHeader {
		s.got.Damaged++
		return
	}
	n := binary.BigEndian.Uint32(b)
	want := make([]byte, len(b))
	fill(want, n)
	switch {
	case !bytes.Equal(b, want):
		s.got.Damaged++
		return
	case s.seen[n]:
		s.got.Duplicates++
		return
	case s.got.Received == 0:
		s.top, s.low = n, n
	case n < s.top:
		s.got.Reordered++
	}
	s.seen[n] = true
	s.got.Received++
	s.top, s.low = max(s.top, n), min(s.low, n)
}
