package wire

// SumState says what is known of a checksum.
type SumState uint8

// The states of a checksum.
const (
	SumAbsent SumState = iota // no such header, no checksum (UDP), or not all that it covers is here
	SumGood
	SumBad
)

// String returns the state in lower case.
func (s SumState) String() string { return [...]string{"absent", "good", "bad"}[min(s, SumBad)] }

// Wrong is by how much the checksums of a packet are wrong: the field minus the right value in one's complement, host order, 0 for
// one that is right or absent. Edits that are repaired by RFC 1624 do not change it. The zero value: nothing is known to be wrong.
type Wrong struct {
	IP, Transport uint16
}

// Verify looks, as a receiver would, whether the checksums of the packet are right. It reads the packet once and changes nothing.
// UDP's 0 counts as absent over IPv4 (RFC 768) and as bad over IPv6 (RFC 8200 8.1); UDP is summed over its own length, not IP's;
// the destination is the final one of a Routing header. Where a checksum is owed (see Address) what stands there means nothing.
func Verify(b []byte, h *Headers) (ip, transport SumState) {
	ip, transport, _ = examine(b, h)
	return ip, transport
}

// Judge is Verify for whoever is going to change the packet: what it returns lets Recompute keep a wrong checksum wrong.
func Judge(b []byte, h *Headers) Wrong {
	_, _, w := examine(b, h)
	return w
}

func examine(b []byte, h *Headers) (ip, transport SumState, w Wrong) {
	if h.Version == 4 {
		ip, w.IP = state(Fold(h.sumIP(b)))
	}
	if h.Transport == NoTransport || !h.whole() {
		return ip, SumAbsent, w
	}
	if h.Transport == UDP && h.Version == 4 && h.transportSum(b) == 0 {
		return ip, SumAbsent, w
	}
	rest, pseudo, ok := h.covered(b)
	if !ok {
		return ip, SumAbsent, w
	}
	transport, w.Transport = state(Fold(Sum(rest, pseudo)))
	if h.Transport == UDP && h.transportSum(b) == 0 { // over IPv6; that it would be right is chance: 0xffff is sent then
		transport = SumBad
	}
	return ip, transport, w
}

// state judges the sum over data and checksum: 0xffff if right, else its distance from that. Only of an all-zero ICMP message
// with the checksum 0 is it 0, which is bad, yet wrong by nothing; so is UDP's 0 over IPv6 where the right sum is 0xffff.
func state(sum uint16) (s SumState, wrong uint16) {
	if sum == 0xffff {
		return SumGood, 0
	}
	return SumBad, sum
}

// covered returns what the transport checksum covers: header and payload, and the partial sum of the pseudo header. It is not
// ok behind a Routing header of unknown kind. The UDP length counts if it can be true.
func (h *Headers) covered(b []byte) (rest []byte, pseudo uint64, ok bool) {
	rest = b[h.TransportOff:h.Len]
	if h.Transport == UDP {
		if n := int(h.UDP(b).Length()); n >= UDPHeaderLen && n < len(rest) {
			rest = rest[:n]
		}
	}
	if h.Version == 4 || h.TransportOff == IPv6HeaderLen {
		return rest, h.pseudo(b, uint32(len(rest))), true
	}
	dst := h.finalDst(b)
	if dst == 0 {
		return nil, 0, false
	}
	pseudo = sum16((*[16]byte)(b[ipv6Src:])) + sum16((*[16]byte)(b[dst:])) + pseudoTail(h.Proto, uint32(len(rest)))
	return rest, pseudo, true
}

// Recompute computes and stores those checksums of which that the packet has, wrong by as much as was says, and reports which it
// stored. With what Judge returned before an edit the result is that of updating the old checksum by RFC 1624, whatever the
// edit was: corruption stays visible. The zero Wrong stores right ones. It covers what Verify covers, and leaves a UDP
// checksum of 0 as it is; what cannot be computed (a fragment, a truncated packet) is not stored.
func Recompute(b []byte, h *Headers, which Checksums, was Wrong) (done Checksums) {
	if h.Version == 4 && which&IPSum != 0 {
		h.IPv4(b).SetChecksum(add(h.rightIPSum(b), was.IP))
		done = IPSum
	}
	sum := transportSums[h.Transport] & which
	if sum == 0 || !h.whole() || h.Transport == UDP && h.transportSum(b) == 0 {
		return done
	}
	rest, pseudo, ok := h.covered(b)
	if !ok {
		return done
	}
	right := add(h.rightSum(rest, pseudo), was.Transport)
	if right == 0 && h.Transport == UDP {
		right = 0xffff
	}
	h.setTransportSum(b, right)
	return done | sum
}

// add is the one's complement sum of a checksum and an error, in the form that RFC 1624 equation 3 gives: never -0 (0xffff)
// unless the checksum was and there is no error.
func add(sum, wrong uint16) uint16 {
	if wrong == 0 {
		return sum
	}
	return ^fold32(uint32(^sum) + uint32(^wrong))
}
