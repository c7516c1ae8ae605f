package drvtest

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv"
)

var filterRules = []Rule{
	{"filter/matches", "WinDivert 7; WinDivert 5.5, guaranteed to match the filter", nil, filterMatches},
	{"filter/directions", "WinDivert 7, inbound and outbound", []need{needInbound}, filterDirections},
	{"filter/loopback", "WinDivert 7, loopback", []need{needLoopback}, filterLoopback},
	{"filter/the-rest-passes", "WinDivert 5.4, any packet that matches is diverted; an unmodified pass changes no byte", nil, filterRestPasses},
	{"filter/false-takes-nothing", "WinDivert 7, false", nil, filterFalse},
}

// The packets that the filters are asked about; their numbers are their places.
var filterSpecs = []spec{
	{n: 0},
	{n: 1, srcPort: 40002},
	{n: 2, size: 600},
	{n: 3, hops: 7},
	{n: 4, ipv6: true},
	{n: 5, ipv6: true, srcPort: 40002, size: 700, hops: 9},
}

func filterMatches(p *probe) {
	for _, c := range []struct {
		text string
		want []int
	}{
		{"true", []int{0, 1, 2, 3, 4, 5}},
		{"ip", []int{0, 1, 2, 3}},
		{"ipv6", []int{4, 5}},
		{"udp.SrcPort == 40002", []int{1, 5}},
		{"udp.SrcPort != 40002", []int{0, 2, 3, 4}},
		{"udp.PayloadLength > 500", []int{2, 5}},
		{"length <= 100", []int{0, 1, 3, 4}},
		{"ip.TTL < 8 or ipv6.HopLimit < 10", []int{3, 5}},
		{"udp.Payload[16] == 3", []int{3}},
		{"(ip? udp.SrcPort == 40002: length > 500)", []int{1, 5}},
		{"outbound and localPort == 40002", []int{1, 5}},
		{fmt.Sprintf("remoteAddr == %v", p.w.IPv6.Remote), []int{4, 5}},
		{fmt.Sprintf("ip.SrcAddr == %v and not tcp", p.w.IPv4.Local), []int{0, 1, 2, 3}},
		{"event == PACKET and timestamp != 0", []int{0, 1, 2, 3, 4, 5}},
		{"packet32[0] >= 0x60000000 and random8 < 256", []int{4, 5}},
		{"inbound or tcp or icmp or fragment or impostor", nil},
	} {
		h := p.openAt(filterAll+" and ("+c.text+")", divertdrv.Network, divertdrv.Options{})
		for _, s := range filterSpecs {
			p.sendAs(s)
		}
		p.w.Network.Settle()
		p.restBy(h, dropAll, c.want...)
		p.gather()
		p.arrived = nil
	}
}

// ask opens a handle with each filter, sends the packets, and says which must come.
func (p *probe) ask(packets []spec, want map[string][]int) {
	p.Helper()
	for text, numbers := range want {
		h := p.openAt(filterAll+" and "+text, divertdrv.Network, divertdrv.Options{})
		for _, s := range packets {
			p.sendAs(s)
			p.w.Network.Settle() // between ways there is no order
		}
		p.restBy(h, dropAll, numbers...)
		p.gather()
		p.arrived = nil
	}
}

func filterDirections(p *probe) {
	p.ask([]spec{{n: 0}, {way: Inbound, n: 1}, {way: Inbound, n: 2, ipv6: true}}, map[string][]int{
		"inbound":                    {1, 2},
		"outbound":                   {0},
		"inbound and ipv6":           {2},
		"localPort == 40961":         {1, 2},
		"remotePort == 40961":        {0},
		"not outbound and ip.TTL!=0": {1},
	})
}

func filterLoopback(p *probe) {
	p.ask([]spec{{n: 0}, {way: Loopback, n: 1}}, map[string][]int{
		"loopback":              {1},
		"not loopback":          {0},
		"outbound":              {0, 1},
		"inbound":               nil,
		"loopback and outbound": {1},
	})
}

func filterRestPasses(p *probe) {
	h := p.openAt(filterAll+" and udp.SrcPort == 40002", divertdrv.Network, divertdrv.Options{})
	sent := p.sendAs(spec{n: 1, badSum: true})
	p.send(2)
	if d := differ(p.hasLeft(1, 2)[0].Data, sent); d != "" {
		p.Errorf("a packet that no filter matches was changed: %s", d)
	}
	p.rest(h)
}

func filterFalse(p *probe) {
	h := p.openAt("false", divertdrv.Network, divertdrv.Options{})
	p.send(1, 2)
	p.hasLeft(1, 2)
	p.rest(h)
}
