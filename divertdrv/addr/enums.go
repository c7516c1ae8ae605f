package addr

import (
	"fmt"
	"strings"
)

// Layer is a layer of a divert driver, with WinDivert's numbers.
type Layer uint8

// The layers of WinDivert 2.2.
const (
	Network        Layer = iota // packets to and from this host
	NetworkForward              // packets that this host forwards
	LayerFlow                   // flows established and deleted
	LayerSocket                 // bind, connect, listen, accept, close
	LayerReflect                // divert handles opened and closed
)

// Layers is the number of layers.
const Layers = 5

var layerNames = [Layers]string{"network", "forward", "flow", "socket", "reflect"}

// String returns the layer's name in lower case.
func (l Layer) String() string {
	if int(l) < len(layerNames) {
		return layerNames[l]
	}
	return fmt.Sprintf("layer(%d)", uint8(l))
}

// ParseLayer reads a layer's number 0..4 or its name; network_forward is WinDivert's word for forward.
func ParseLayer(s string) (Layer, error) {
	name := strings.ToLower(s)
	if name == "network_forward" || name == "network-forward" {
		return NetworkForward, nil
	}
	for i, n := range layerNames {
		if name == n || name == fmt.Sprint(i) {
			return Layer(i), nil
		}
	}
	return 0, fmt.Errorf("unknown layer %q: want %s, or 0 to 4", s, strings.Join(layerNames[:], ", "))
}

// HasData says whether events of the layer carry bytes.
func (l Layer) HasData() bool { return l == Network || l == NetworkForward || l == LayerReflect }

// Event is what happened, with WinDivert's numbers.
type Event uint8

// The events of WinDivert 2.2 and the layers where they occur.
const (
	EventPacket      Event = iota // NETWORK, NETWORK_FORWARD
	EventEstablished              // FLOW
	EventDeleted                  // FLOW
	EventBind                     // SOCKET
	EventConnect                  // SOCKET
	EventListen                   // SOCKET
	EventAccept                   // SOCKET
	EventClose                    // SOCKET
	EventOpen                     // REFLECT
	EventClosed                   // REFLECT
)

var eventNames = [...]string{
	"packet", "established", "deleted", "bind", "connect", "listen", "accept", "close", "open", "closed",
}

// String returns the event's name in lower case.
func (e Event) String() string {
	if int(e) < len(eventNames) {
		return eventNames[e]
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

// Flags of a handle, with WinDivert's bits.
type Flags uint64

// The flags of WinDivert 2.2.
const (
	Sniff     Flags = 1 << iota // matching packets are copied and go on at once
	DropAll                     // matching packets are dropped in the driver, never received
	RecvOnly                    // the handle does not inject
	SendOnly                    // the handle does not receive
	NoInstall                   // do not install the driver
	Fragments                   // inbound fragments as they come, not reassembled
	flagEnd
)

// AllFlags has every known flag set.
const AllFlags = flagEnd - 1

var flagNames = [...]string{"sniff", "drop", "recv-only", "send-only", "no-install", "fragments"}

// String returns the names of the flags joined by "|", "0" for none.
func (f Flags) String() string {
	var names []string
	for i, n := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	if rest := f &^ AllFlags; rest != 0 {
		names = append(names, fmt.Sprintf("%#x", uint64(rest)))
	}
	if len(names) == 0 {
		return "0"
	}
	return strings.Join(names, "|")
}

// ParseFlag reads one flag by its name.
func ParseFlag(s string) (Flags, error) {
	for i, n := range flagNames {
		if s == n {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("unknown flag %q: want one of %s", s, strings.Join(flagNames[:], ", "))
}

// Param names a parameter of a handle, with WinDivert's numbers.
type Param uint8

// The parameters of WinDivert 2.2.
const (
	QueueLength  Param = iota // packets, 32..16384, default 4096
	QueueTime                 // milliseconds, 100..16000, default 2000
	QueueSize                 // bytes, 65535..33554432, default 4194304
	VersionMajor              // read-only
	VersionMinor              // read-only
)

// Range returns the bounds and the default of a parameter; ok is false where it cannot be set.
func (p Param) Range() (lo, hi, def uint64, ok bool) {
	switch p {
	case QueueLength:
		return 32, 16384, 4096, true
	case QueueTime:
		return 100, 16000, 2000, true
	case QueueSize:
		return 65535, 32 << 20, 4 << 20, true
	}
	return 0, 0, 0, false
}

// Priority bounds of a handle.
const (
	PriorityLowest  = -30000
	PriorityHighest = 30000
)
