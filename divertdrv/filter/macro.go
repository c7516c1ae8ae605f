package filter

import "github.com/weirnet/weir/divertdrv/addr"

// Macro is an upper-case name for a number, usable as a value.
type Macro struct {
	Name   string
	Value  int
	Layers []addr.Layer // where the name stands for the value
	Doc    string
}

type macroInfo struct {
	name   string
	value  uint8
	layers layerSet
	doc    string
}

// Where in macros the names begin that a kind of field is compared with.
const (
	protocolMacros = 2
	layerMacros    = 6
	eventMacros    = 11
)

// macros is the table of all macros. CLOSE has two values, by layer.
var macros = [...]macroInfo{
	{"TRUE", 1, onAll, "true"},
	{"FALSE", 0, onAll, "false"},
	{"ICMP", 1, onAll, "protocol number of ICMP"},
	{"TCP", 6, onAll, "protocol number of TCP"},
	{"UDP", 17, onAll, "protocol number of UDP"},
	{"ICMPV6", 58, onAll, "protocol number of ICMPv6"},
	{"NETWORK", uint8(addr.Network), onAll, "layer: packets of this host"},
	{"NETWORK_FORWARD", uint8(addr.NetworkForward), onAll, "layer: forwarded packets"},
	{"FLOW", uint8(addr.LayerFlow), onAll, "layer: flows"},
	{"SOCKET", uint8(addr.LayerSocket), onAll, "layer: socket operations"},
	{"REFLECT", uint8(addr.LayerReflect), onAll, "layer: divert handles"},
	{"PACKET", uint8(addr.EventPacket), onPackets, "event: a packet"},
	{"ESTABLISHED", uint8(addr.EventEstablished), onFlow, "event: a flow was established"},
	{"DELETED", uint8(addr.EventDeleted), onFlow, "event: a flow ended"},
	{"BIND", uint8(addr.EventBind), onSocket, "event: bind"},
	{"CONNECT", uint8(addr.EventConnect), onSocket, "event: connect"},
	{"LISTEN", uint8(addr.EventListen), onSocket, "event: listen"},
	{"ACCEPT", uint8(addr.EventAccept), onSocket, "event: accept"},
	{"CLOSE", uint8(addr.EventClose), onSocket, "event: a socket was closed"},
	{"OPEN", uint8(addr.EventOpen), onReflect, "event: a handle was opened"},
	{"CLOSE", uint8(addr.EventClosed), onReflect, "event: a handle was closed"},
}

// findMacro looks a name up. layers is where it has a value at all, empty for no macro; value holds iff layers has l.
func findMacro(name string, l addr.Layer) (value uint8, layers layerSet) {
	for i := range macros {
		if m := &macros[i]; m.name == name {
			layers |= m.layers
			if m.layers.has(l) {
				value = m.value
			}
		}
	}
	return value, layers
}

// macroFor returns the macro that a value of the field is written as at a layer, "" for none.
func macroFor(id fieldID, v number, l addr.Layer) string {
	var names []macroInfo
	switch id {
	case fProtocol, fIPProtocol, fIPv6NextHdr:
		names = macros[protocolMacros:layerMacros]
	case fLayer:
		names = macros[layerMacros:eventMacros]
	case fEvent:
		names = macros[eventMacros:]
	}
	for i := range names {
		if m := &names[i]; m.layers.has(l) && v == unsigned(uint64(m.value)) {
			return m.name
		}
	}
	return ""
}

// Macros returns the macros that have a value at the layer, in WinDivert's order.
func Macros(l addr.Layer) []Macro {
	var list []Macro
	for i := range macros {
		if m := &macros[i]; m.layers.has(l) {
			list = append(list, Macro{m.name, int(m.value), m.layers.list(), m.doc})
		}
	}
	return list
}

// Field describes a field of the language.
type Field struct {
	Name      string
	Doc       string
	Min, Max  string       // the values it can have, as a filter writes them
	Layers    []addr.Layer // where it can be used
	Indexable bool         // it needs an index: packet[0], tcp.Payload16[-2]
}

// Fields returns the fields of a layer in WinDivert's order.
func Fields(l addr.Layer) []Field {
	var list []Field
	for i := range fields {
		id, f := fieldID(i), &fields[i]
		if !f.layers.has(l) {
			continue
		}
		list = append(list, Field{
			Name: f.name, Doc: f.doc, Layers: f.layers.list(), Indexable: id.size() != 0,
			Min: formatValue(id, f.values.lo), Max: formatValue(id, id.largest()),
		})
	}
	return list
}
