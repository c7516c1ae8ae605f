package nettest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"
)

// TransferTime bounds a transfer as a whole.
const TransferTime = time.Minute

// Transfer is what one TCP connection carried.
type Transfer struct {
	Bytes   int64
	SHA256  [sha256.Size]byte // of both what was sent and what arrived; they were equal
	Elapsed time.Duration
}

// TransferTCP sends bytes, pseudo-random by the seed, from a namespace to a listener that it opens at an address of another, and
// compares what arrived. What differs, and what does not arrive within a minute, is an error.
func TransferTCP(from, at *Namespace, addr netip.AddrPort, bytes int64, seed uint64) (tr Transfer, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), TransferTime)
	defer cancel()
	var l net.Listener
	at.Do(func() { l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr)) })
	if err != nil {
		return tr, err
	}
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var conn net.Conn
	start := time.Now()
	from.Do(func() { conn, err = new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String()) })
	if err != nil {
		return tr, err
	}
	defer conn.Close()
	arrived := make(chan received, 1)
	go func() { arrived <- receive(l, start.Add(TransferTime)) }()
	sent, serr := transmit(conn, bytes, seed, start.Add(TransferTime))
	_ = conn.Close() // it was shut down
	if serr != nil {
		_ = l.Close() // the listener may still wait for a connection that never came
	}
	got := <-arrived
	tr = Transfer{Bytes: got.bytes, SHA256: got.sum, Elapsed: time.Since(start)}
	switch {
	case serr != nil:
		return tr, fmt.Errorf("send %d bytes: %w", bytes, serr)
	case got.err != nil:
		return tr, fmt.Errorf("receive %d bytes, %d came: %w", bytes, got.bytes, got.err)
	case got.bytes != bytes || got.sum != sent:
		return tr, fmt.Errorf("sent %d bytes with SHA-256 %x, %d arrived with %x", bytes, sent, got.bytes, got.sum)
	}
	return tr, nil
}

// MustTransferTCP is TransferTCP to a free port that ends the test on an error.
func MustTransferTCP(t testing.TB, from, at *Namespace, addr netip.Addr, bytes int64) Transfer {
	t.Helper()
	tr, err := TransferTCP(from, at, netip.AddrPortFrom(addr, 0), bytes, 1)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

type received struct {
	bytes int64
	sum   [sha256.Size]byte
	err   error
}

func receive(l net.Listener, until time.Time) (r received) {
	conn, err := l.Accept()
	if err != nil {
		return received{err: err}
	}
	defer conn.Close()
	if err := conn.SetDeadline(until); err != nil {
		return received{err: err}
	}
	h := sha256.New()
	r.bytes, r.err = io.CopyBuffer(h, conn, make([]byte, 256<<10))
	r.sum = [sha256.Size]byte(h.Sum(nil))
	return r
}

func transmit(conn net.Conn, bytes int64, seed uint64, until time.Time) (sum [sha256.Size]byte, err error) {
	if err := conn.SetDeadline(until); err != nil {
		return sum, err
	}
	h := sha256.New()
	source := io.LimitReader(tee{rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8)}), h}, bytes)
	_, err = io.CopyBuffer(struct{ io.Writer }{conn}, source, make([]byte, 256<<10))
	if err != nil {
		return sum, err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return sum, err
	}
	// The other end closes when it has read all: what it did not acknowledge must not be lost by closing here.
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		return sum, fmt.Errorf("wait for the other end to close: %w", err)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// tee hashes what is read; the limit stands outside, so reads are as long as what counts.
type tee struct {
	from io.Reader
	to   hash.Hash
}

func (t tee) Read(b []byte) (int, error) {
	n, err := t.from.Read(b)
	t.to.Write(b[:n])
	return n, err
}
