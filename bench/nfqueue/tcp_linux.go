package nfqueue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/weirnet/weir/internal/netns"
)

const (
	tcpPort   = 5001
	tcpChunk  = 256 << 10 // bytes of one write or read
	tcpWarm   = 5         // this part of the time is not counted: the window opens
	dialLimit = 10 * time.Second
)

// TCPResult is what one connection carried.
type TCPResult struct {
	Bytes   uint64
	Elapsed time.Duration
}

// BitsPerSecond is the throughput of the payload.
func (r *TCPResult) BitsPerSecond() float64 { return float64(r.Bytes) * 8 / r.Elapsed.Seconds() }

// tcp sends as much as one connection takes from client to server, for some time.
func (l *lab) tcp(ctx context.Context, d time.Duration) (TCPResult, error) {
	from, to, err := l.connection(ctx)
	if err != nil {
		return TCPResult{}, err
	}
	defer from.Close()
	defer to.Close()
	start := time.Now().Add(d / tcpWarm)
	end := start.Add(d)
	if err := errors.Join(from.SetDeadline(end), to.SetDeadline(end)); err != nil {
		return TCPResult{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = from.Close(); _ = to.Close() })
	defer stop()
	sent := make(chan error, 1)
	go func() { sent <- pour(from) }()
	r, err := drink(to, start)
	return r, errors.Join(err, <-sent, ctx.Err())
}

func (l *lab) connection(ctx context.Context) (from, to net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	at := net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.at.server, tcpPort))
	var listener *net.TCPListener
	err = netns.Do(l.server, func() error {
		listener, err = net.ListenTCP("tcp4", at)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	defer listener.Close()
	err = netns.Do(l.client, func() error {
		from, err = new(net.Dialer).DialContext(ctx, "tcp4", at.String())
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := listener.SetDeadline(deadline); err != nil {
		return nil, nil, errors.Join(err, from.Close())
	}
	if to, err = listener.Accept(); err != nil {
		return nil, nil, errors.Join(err, from.Close())
	}
	return from, to, nil
}

// pour writes until its time is over.
func pour(c net.Conn) error {
	b := make([]byte, tcpChunk)
	for {
		if _, err := c.Write(b); err != nil {
			return onlyLate(err)
		}
	}
}

// drink reads until its time is over, and counts from start on.
func drink(c net.Conn, start time.Time) (r TCPResult, err error) {
	b := make([]byte, tcpChunk)
	for {
		n, err := c.Read(b)
		if err != nil {
			r.Elapsed = time.Since(start)
			return r, onlyLate(err)
		}
		if time.Now().After(start) {
			r.Bytes += uint64(n)
		}
	}
}

// onlyLate forgives that the time is over.
func onlyLate(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("TCP: %w", err)
}
