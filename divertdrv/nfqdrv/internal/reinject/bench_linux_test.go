package reinject

import (
	"strconv"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// Many packets in one call against one by one, each way; ns/op is for one packet:
//
//	go test -run '^$' -bench Inject -count 5 ./divertdrv/nfqdrv/internal/reinject
func BenchmarkInject(b *testing.B) {
	needs(b)
	nettest.Need(b, nettest.Program("iptables", "iptables"))
	r := nettest.NewRouted(b)
	for _, ns := range []*nettest.Namespace{r.Router, r.Server.NS} { // the end of the way, as early as can be
		ns.Command("iptables", "-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", "9", "-j", "DROP")
	}
	in := openIn(b, r.Router, Config{Inbound: true})
	forward := openIn(b, r.Router, Config{Layer: divertdrv.NetworkForward})
	ways := map[string]struct {
		in   *Injector
		set  func(*divertdrv.Address)
		data []byte
	}{
		"outbound": {in, nil, udp(b, r.Right.V4, r.Server.V4, 9, make([]byte, 64))},
		"inbound":  {in, inboundOn(r.Right.Index), udp(b, r.Server.V4, r.Right.V4, 9, make([]byte, 64))},
		"forward":  {forward, nil, udp(b, r.Client.V4, r.Server.V4, 10, make([]byte, 64))},
	}
	for name, way := range ways {
		for _, batch := range []int{1, 8, burstMax} {
			ps := packets(way.set)
			for range batch {
				ps = append(ps, packets(way.set, way.data)...)
			}
			b.Run(name+"/"+strconv.Itoa(batch), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; i < b.N; i += batch {
					mustInject(b, way.in, ps)
				}
			})
		}
	}
}

// Opening and closing, with the inlet made anew each time, and with one that another injector keeps.
func BenchmarkOpen(b *testing.B) {
	needs(b)
	for _, c := range []struct {
		name          string
		inbound, kept bool
	}{{"outbound", false, false}, {"inlet made", true, false}, {"inlet kept", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			ns := nettest.NewNamespace(b)
			if c.kept {
				openIn(b, ns, Config{Inbound: true})
			}
			for range b.N {
				in, err := Open(Config{Inbound: c.inbound, Source: source, Namespace: ns.FD()})
				if err != nil {
					b.Fatal(err)
				}
				if err := in.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
