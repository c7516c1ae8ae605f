package drvtest

import (
	"net/netip"
	"time"

	"github.com/weirnet/weir/divertdrv"
)

// T is what rules need of *testing.T. Fatalf must end the goroutine that calls it.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// Setup is what a driver's test gives the suite.
type Setup struct {
	// New makes a driver that no handle is open on, and the network around it, for one rule; t.Cleanup ends them. The
	// cleanup must end every call that is still blocked in the driver.
	New func(t T) *World

	// Skips are the names of the rules that the driver's World cannot be asked, in any order; group/* is a whole group. Any
	// difference fails.
	Skips []string

	// Docs is a Markdown file whose table of rules must say the same as Skips, in the column that is named as the driver. "": none.
	Docs string

	// Patience is how long the suite waits for what must happen. 0: 10 s.
	Patience time.Duration
}

// World is a driver and what is around it.
type World struct {
	Driver  divertdrv.Driver
	Caps    divertdrv.Caps // what its handles at Network must declare, no more and no less
	Network Network
	Ways    []Way // that the Network can play

	// Advance moves the clock that the driver goes by. nil: that is the system's, and the suite sleeps.
	Advance func(time.Duration)

	// Sockets plays the programs of the host. nil: none, so there are no rules for FLOW and SOCKET.
	Sockets Sockets

	// Waits says that the driver never sheds a packet: it lets no more come until the queues have room.
	Waits bool

	// Unwoken says that a Recv may be reading from where packets come from, and that neither Shutdown nor Close wakes it there:
	// it returns with the next packet, or when there are no more.
	Unwoken bool

	// Unjoined says that inbound fragments come to every handle as they were recorded, so that none sees the packet that they make.
	Unjoined bool

	// Jumbo says that the Network can bring datagrams of 65,535 bytes inbound.
	Jumbo bool

	IfIdx      uint32 // of an interface that packets may be injected inbound on; 0 where that means nothing
	IPv4, IPv6 Hosts  // zero: addresses reserved for documentation
}

// Hosts are addresses of one family: Local is the host with the driver, Remote its peer on the wire, and Beyond a host that it
// routes to.
type Hosts struct{ Local, Remote, Beyond netip.Addr }

// Way is how a packet comes to the driver.
type Way uint8

// The ways.
const (
	Outbound  Way = iota // the host sends it to the wire
	Inbound              // the wire brings it to the host
	Loopback             // the host sends it to itself; it is seen once, outbound
	Forwarded            // the wire brings it and the host routes it on, to the wire
)

var wayNames = [...]string{"outbound", "inbound", "loopback", "forwarded"}

// String returns the way's name in lower case.
func (w Way) String() string { return wayNames[w] }

// Arrival is a packet that came out at an end: at the wire, or at the host.
type Arrival struct {
	AtHost bool
	Data   []byte // from the IP header
}

// Network plays what is around a driver. The suite uses it from one goroutine at a time, except for Send.
type Network interface {
	// Send puts one IP packet on its way and does not keep it. It must not wait for the packet to be read.
	Send(w Way, data []byte) error

	// Settle returns when what was sent, passed and injected has come as far as it can: to a handle's queue, or to an end.
	Settle()

	// Left returns what came out since it was last asked, in order for each end. The suite may change it.
	Left() []Arrival
}

// Sockets plays programs that open and close sockets. An operation that a handle blocks returns an error.
type Sockets interface {
	// PID is the process that the programs run in.
	PID() uint32

	// Bind takes a local port.
	Bind(protocol uint8, local netip.AddrPort) (Socket, error)

	// Listen takes a local port and waits for TCP connections.
	Listen(local netip.AddrPort) (Socket, error)

	// Connect opens a TCP connection, or a UDP socket that has a peer and sent it a datagram.
	Connect(protocol uint8, local, remote netip.AddrPort) (Socket, error)

	// Accept has the wire open a TCP connection to a port that listens.
	Accept(local, remote netip.AddrPort) (Socket, error)
}

// Socket is one that is open.
type Socket interface {
	// Close ends it and what it carries, on both sides: its flow is over when Settle returns.
	Close() error
}
