package filter

import (
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
)

// batch is how many packets MatchBatch gets at a time.
const batch = 64

func weirProgram(n Name) (*filter.Program, error) {
	return filter.Parse(map[Name]string{
		Short:    "tcp.DstPort == 443",
		Medium:   "outbound and tcp.DstPort == 443 and tcp.PayloadLength > 0 and !loopback",
		Ranges20: joined("ip.DstAddr >= %s and ip.DstAddr <= %s", " or ", func(a int) any { return dotted(a) }),
	}[n], addr.Network)
}

func weirMatch(n Name) (Matcher, error) {
	prog, err := weirProgram(n)
	return func(p []Packet, hits []bool) {
		for i := range p {
			hits[i] = prog.Match(&p[i].Addr, p[i].Data, &p[i].Headers)
		}
	}, err
}

func weirParse(n Name) (Matcher, error) {
	prog, err := weirProgram(n)
	return func(p []Packet, hits []bool) {
		for i := range p {
			hits[i] = prog.Match(&p[i].Addr, p[i].Data, nil)
		}
	}, err
}

// weirBatch fills the views anew each time, as who receives a batch does.
func weirBatch(n Name) (Matcher, error) {
	prog, err := weirProgram(n)
	views := make([]filter.View, batch)
	return func(p []Packet, hits []bool) {
		for len(p) > 0 {
			n := min(len(p), batch)
			for i := range p[:n] {
				v := &views[i]
				v.Addr, v.Data, v.Headers = &p[i].Addr, p[i].Data, &p[i].Headers
			}
			prog.MatchBatch(views[:n], hits)
			p, hits = p[n:], hits[n:]
		}
	}, err
}
