package reinject

import (
	"sync"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// In the steady state no way of injecting allocates, whether it takes the packet or refuses it.
func TestNoAllocations(t *testing.T) {
	needs(t)
	r := nettest.NewRouted(t)
	in := openIn(t, r.Router, Config{Inbound: true})
	forward := openIn(t, r.Router, Config{Layer: divertdrv.NetworkForward})
	impostor := func(a *divertdrv.Address) { a.SetOutbound(true); a.SetImpostor(true) }
	for _, f := range families {
		mine, peer := r.Right.Addr(f.like), r.Server.Addr(f.like)
		for name, c := range map[string]struct {
			in   *Injector
			set  func(*divertdrv.Address)
			data []byte
		}{
			"outbound":    {in, nil, udp(t, mine, peer, 5000, []byte("out"))},
			"impostor":    {in, impostor, udp(t, mine, peer, 5000, []byte("out"))},
			"inbound":     {in, inboundOn(r.Right.Index), udp(t, peer, mine, 5000, []byte("in"))},
			"forward":     {forward, nil, udp(t, r.Client.Addr(f.like), peer, 5000, []byte("on"))},
			"too big":     {in, nil, udp(t, mine, peer, 5000, make([]byte, 1500))},
			"no room":     {in, inboundOn(0), udp(t, peer, mine, 5000, nil)},
			"unreachable": {in, inboundOn(1), udp(t, peer, mine, 5000, nil)},
		} {
			ps := packets(c.set)
			for range 100 {
				ps = append(ps, packets(c.set, c.data)...)
			}
			if n := testing.AllocsPerRun(50, func() { _, _ = c.in.Inject(ps) }); n != 0 {
				t.Errorf("%s, %s: %v allocations for 100 packets", f.name, name, n)
			}
		}
	}
}

// Many goroutines inject at once, others look and at last close: every packet either went in or has an error.
func TestConcurrentUse(t *testing.T) {
	needs(t)
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{Inbound: true})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			set, data := inboundOn(a.Index), udp(t, b.V4, a.V4, 5000, []byte("in"))
			if i%2 == 0 {
				set, data = nil, udp(t, a.V4, b.V4, 5000, []byte("out"))
			}
			for range 100 {
				ps := packets(set, data, data, data)
				if n, err := in.Inject(ps); (n == len(ps)) != (err == nil) {
					t.Errorf("%d went in, error %v", n, err)
				}
				in.Stats()
			}
			if i == 0 {
				in.Close()
			}
		})
	}
	wg.Wait()
}
