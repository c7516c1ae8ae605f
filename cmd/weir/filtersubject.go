package main

import (
	"encoding/hex"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv/addr"
)

// subjectFlags say what a filter is tried on: the packets of a capture, or one packet or event.
type subjectFlags struct {
	packet, address string
	outbound        bool

	capture string
	local   []string
}

// flags adds them to a command that has --batch and --layer.
func (f *subjectFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.packet, "packet", "", "`hex` of a packet, from its IP header")
	flags.StringVar(&f.address, "address", "", "`hex` of its WINDIVERT_ADDRESS; left out: an inbound packet")
	flags.BoolVar(&f.outbound, "outbound", false, "without --address: an outbound packet")
	flags.StringVarP(&f.capture, "read", "r", "", "`capture` file (pcap, pcapng, either with gzip)")
	localFlag(flags, &f.local)
	cmd.MarkFlagsMutuallyExclusive("batch", "packet", "read")
	cmd.MarkFlagsMutuallyExclusive("batch", "address", "read")
	cmd.MarkFlagsMutuallyExclusive("batch", "layer")
	cmd.MarkFlagsMutuallyExclusive("address", "outbound")
}

// given returns the one packet or event.
func (f *subjectFlags) given(l addr.Layer) (a addr.Address, pkt []byte, err error) {
	if f.packet == "" && f.address == "" {
		return a, nil, wrongf("nothing to evaluate the filter on: give -r CAPTURE, --packet HEX, --address HEX, or --batch")
	}
	if pkt, err = hex.DecodeString(f.packet); err != nil {
		return a, nil, wrongf("--packet: %w", err)
	}
	if f.address != "" {
		if a, err = addr.ParseHex(f.address); err != nil {
			return a, nil, wrongf("--address: %w", err)
		}
		return a, pkt, nil
	}
	a.SetLayer(l, addr.EventPacket)
	a.SetOutbound(f.outbound || l == addr.NetworkForward)
	a.SetIPv6(len(pkt) > 0 && pkt[0]>>4 == 6)
	a.SetChecksums(true)
	return a, pkt, nil
}
