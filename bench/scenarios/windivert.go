package scenarios

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/divertdrv"
)

// windivert measures the real driver of Windows: round trips of UDP datagrams over loopback, diverted twice each, beside the same
// without a handle. The driver is the platform's own, which the program that runs this links by importing divertdrv/native.
func windivert() bench.Scenario {
	s := bench.Scenario{
		Name: "windivert", Op: "one round trip over loopback", By: bench.ByP50,
		About: "the real driver of Windows: UDP round trips over loopback, diverted, beside the same without a handle",
	}
	if runtime.GOOS != "windows" {
		s.Unable = bench.Unablef("WinDivert is a driver of Windows, and this is %s", runtime.GOOS)
	}
	s.Cases = []bench.Case{{Params: bench.P("size", 60), Variants: []bench.Variant{
		{Name: "weir", About: "all passed by one handle", Start: func(context.Context, bench.Env) (bench.Trial, error) { return echoTrial(divertEcho) }},
		{Name: "no handle", About: "the same datagrams, not diverted", Start: func(context.Context, bench.Env) (bench.Trial, error) { return echoTrial(nil) }},
	}}}
	return s
}

// divertEcho passes all packets of the server by one handle.
func divertEcho(server netip.AddrPort) (end func() error, err error) {
	text := fmt.Sprintf("udp and (udp.DstPort == %d or udp.SrcPort == %d)", server.Port(), server.Port())
	h, err := divertdrv.Open(text, divertdrv.Network, nil)
	if errors.Is(err, divertdrv.ErrNoDriver) || errors.Is(err, divertdrv.ErrAccess) {
		return nil, bench.Unablef("%v", err)
	}
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- passAll(h) }()
	return func() error {
		err := h.Shutdown(divertdrv.ShutdownRecv)
		err = errors.Join(err, <-ended)
		s := h.Stats()
		return errors.Join(err, s.Conserved(), h.Close())
	}, nil
}

// echo is two sockets of this program.
type echo struct {
	server, client *net.UDPConn
	done           sync.WaitGroup
}

// echoTrial measures round trips; divert, if not nil, diverts them and returns what ends that.
func echoTrial(divert func(server netip.AddrPort) (func() error, error)) (t bench.Trial, err error) {
	loopback := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0"))
	e := &echo{}
	if e.server, err = net.ListenUDP("udp4", loopback); err != nil {
		return t, err
	}
	to := e.server.LocalAddr().(*net.UDPAddr)
	if e.client, err = net.DialUDP("udp4", nil, to); err != nil {
		return t, errors.Join(err, e.server.Close())
	}
	e.done.Go(e.answer)
	end := func() error { return nil }
	if divert != nil {
		if end, err = divert(to.AddrPort()); err != nil {
			return t, errors.Join(err, e.close())
		}
	}
	return bench.Trial{Run: e.run, Close: func() error { return errors.Join(end(), e.close()) }}, nil
}

func (e *echo) answer() {
	b := make([]byte, 2048)
	for {
		n, from, err := e.server.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		_, _ = e.server.WriteToUDPAddrPort(b[:n], from) // what is lost is counted by who waits for it
	}
}

func (e *echo) close() error {
	err := errors.Join(e.client.Close(), e.server.Close())
	e.done.Wait()
	return err
}

// echoPatience is how long an answer is waited for; then the round trip counts as lost.
const echoPatience = time.Second

func (e *echo) run(ctx context.Context, d time.Duration) (bench.Sample, error) {
	latency := bench.NewLatency()
	out, in := make([]byte, 32), make([]byte, 2048)
	lost, n := uint64(0), uint64(0)
	watch := bench.Watch()
	for start := time.Now(); time.Since(start) < d && ctx.Err() == nil; n++ {
		sent := time.Now()
		if _, err := e.client.Write(out); err != nil {
			return bench.Sample{}, err
		}
		_ = e.client.SetReadDeadline(sent.Add(echoPatience)) // of an open socket
		if _, err := e.client.Read(in); err != nil {
			lost++
			continue
		}
		latency.Record(time.Since(sent)) // one after the other: nothing else was due meanwhile
	}
	s := watch()
	s.Ops, s.Packets, s.Latency, s.Loss = n, 2*n, latency, map[string]uint64{"no answer": lost}
	return s, ctx.Err()
}
