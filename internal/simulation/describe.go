package simulation

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// describe says in a few words what an Address says.
func describe(a *divertdrv.Address) string {
	var words []string
	for _, bit := range []struct {
		word string
		on   bool
	}{
		{"outbound", a.Outbound()},
		{"loopback", a.Loopback()},
		{"impostor", a.Impostor()},
		{"sniffed", a.Sniffed()},
		{"ipv6", a.IPv6()},
		{"ip-sum", a.IPChecksum()},
		{"tcp-sum", a.TCPChecksum()},
		{"udp-sum", a.UDPChecksum()},
	} {
		if bit.on {
			words = append(words, bit.word)
		}
	}
	return fmt.Sprintf("%v %v if %d [%s]", a.Layer(), a.Event(), a.IfIdx(), strings.Join(words, " "))
}

// title names a packet: those of ours by their number.
func title(b []byte) string {
	if len(b) >= 32 && (b[0] == 0x45 || b[0]>>4 == 6 && len(b) >= 52) {
		transport, _, udp := layout(b)
		at, proto := transport+8, "udp"
		if !udp {
			at, proto = transport+20, "tcp"
		}
		if at+4 <= len(b) {
			return fmt.Sprintf("packet %d: %s, v%d, %d bytes", binary.BigEndian.Uint32(b[at:]), proto, b[0]>>4, len(b))
		}
	}
	return fmt.Sprintf("%d bytes %x", len(b), b[:min(len(b), 48)])
}

// counts prints the counts that are not zero.
func counts(st *divertdrv.Stats) string {
	s := fmt.Sprintf("received %d passed %d held %d in-batch %d injected %d completed %d failed %d lost %d;",
		st.Received, st.Passed, st.Held, st.InBatch, st.Injected, st.Completed, st.Failed, st.Lost)
	for _, why := range reason.All() {
		if n := st.Dropped[why]; n > 0 {
			s += fmt.Sprintf(" dropped by %v %d", why, n)
		}
		if n := st.LostBy[why]; n > 0 {
			s += fmt.Sprintf(" lost by %v %d", why, n)
		}
	}
	return s
}
