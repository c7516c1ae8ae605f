package simdrv

import (
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// dnsQuestion is the question that waits for its answer.
type dnsQuestion struct {
	open       bool
	from, to   netip.Addr
	port, id   uint16
	name       []byte
	recordType uint16
}

// Names as they stand in a DNS message: a length before each label (RFC 1035 3.1).
var dnsNames = [...][]byte{
	[]byte("\x03www\x07example\x03com\x00"),
	[]byte("\x07example\x03org\x00"),
	[]byte("\x03ads\x07tracker\x07example\x00"),
	[]byte("\x04mail\x07example\x03net\x00"),
	[]byte("\x03cdn\x06static\x07example\x03com\x00"),
}

const dnsPort = 53

// makeDNS asks the name server, or has it answer what was asked last.
func (t *Traffic) makeDNS() (outbound bool) {
	q := &t.question
	if q.open {
		q.open = false
		return t.answer(q)
	}
	q.open = true
	q.from, q.to = local4, server4
	if t.chance(35) {
		q.from, q.to = local6, server6
	}
	q.port, q.id = uint16(32768+t.rng.IntN(28000)), uint16(t.rng.Uint32())
	q.name = dnsNames[t.rng.IntN(len(dnsNames))]
	q.recordType = 1 // A
	if t.chance(40) {
		q.recordType = 28 // AAAA
	}
	t.start(q.from, q.to, wire.ProtoUDP)
	t.addUDP(q.port, dnsPort, dnsHeaderLen+len(q.name)+4)
	t.addQuestion(q, 0x0100, 0)
	t.finish()
	return true
}

const dnsHeaderLen = 12

func (t *Traffic) answer(q *dnsQuestion) bool {
	data := 4
	if q.recordType == 28 {
		data = 16
	}
	t.start(q.to, q.from, wire.ProtoUDP)
	t.addUDP(dnsPort, q.port, dnsHeaderLen+len(q.name)+4+12+data)
	t.addQuestion(q, 0x8180, 1)
	t.add16(0xc000 | dnsHeaderLen) // the name of the question
	t.add16(q.recordType)
	t.add16(1)   // IN
	t.add32(300) // seconds
	t.add16(uint16(data))
	t.addAddr(t.peer(data == 16))
	t.finish()
	return false
}

func (t *Traffic) addQuestion(q *dnsQuestion, flags, answers uint16) {
	t.add16(q.id)
	t.add16(flags)
	t.add16(1)
	t.add16(answers)
	t.add32(0)
	t.add(q.name...)
	t.add16(q.recordType)
	t.add16(1) // IN
}
