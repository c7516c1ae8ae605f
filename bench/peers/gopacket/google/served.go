// Package google measures google/gopacket. The package fork beside it is the same code with the fork: `go generate` writes it.
package google

import (
	"context"

	"github.com/google/gopacket"

	"github.com/weirnet/weir/bench"
)

//go:generate go run ../copy

const library = "google/gopacket v1.1.19"

// Served are the variants; what they are called ends with the library's name.
func Served(name string) []bench.Served {
	v := func(scenario, variant, about string, start func(context.Context, bench.Env) (bench.Trial, error)) bench.Served {
		return bench.Served{Scenario: scenario, Variant: bench.Variant{Name: name + " " + variant, About: library + ": " + about, Start: start}}
	}
	lazy := gopacket.DecodeOptions{Lazy: true, NoCopy: true}
	return []bench.Served{
		v("parse", "NewPacket", "NewPacket, Default", startParse(func() parser { return packets(gopacket.Default) })),
		v("parse", "lazy", "NewPacket, Lazy and NoCopy, the TCP layer asked for", startParse(func() parser { return packets(lazy) })),
		v("parse", "DLP", "DecodingLayerParser", startParse(func() parser { return newDecoder().parse })),
		v("pipeline", "idiomatic", "NewPacket, a list of net.IPNet, SerializeLayers, a channel", startPipeline(idiomatic)),
		v("pipeline", "tuned", "DecodingLayerParser, a list of words, one buffer, a channel", startPipeline(tuned)),
		v("capture", "source", "PacketSource, no filters and no output", startCapture(source)),
		v("capture", "DLP", "ReadPacketData and DecodingLayerParser, no filters and no output", startCapture(frames)),
	}
}
