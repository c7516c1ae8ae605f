package control

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ListenTCP listens on TCP, which anybody on this host can reach, or in the network if the address is not a loopback one: the
// server must have a token.
func ListenTCP(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("control address %q: want HOST:PORT: %w", address, err)
	}
	if host == "" {
		return nil, fmt.Errorf("control address %q: name the host's address too: 127.0.0.1, or that of one interface", address)
	}
	return net.Listen("tcp", address)
}

// ListenLoopback listens on TCP, at a loopback address only.
func ListenLoopback(address string) (net.Listener, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("metrics address %q: want 127.0.0.1:PORT or [::1]:PORT", address)
	}
	if !a.Addr().IsLoopback() {
		return nil, errors.New("metrics without a token are told on a loopback address only: take 127.0.0.1, or --control-tcp with a token")
	}
	return net.Listen("tcp", address)
}

// ErrTaken: another process listens there.
var ErrTaken = errors.New("another weir listens there")
