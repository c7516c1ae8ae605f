// Package proc tells which process owns a packet. Drivers see packets at the network layer, where nobody knows processes; sockets
// do. So events of sockets and flows (WinDivert's SOCKET and FLOW layers), and looks at the system's socket tables, are joined with
// packets by their five-tuple.
//
// Three rules:
//
//   - Nothing is guessed. What two processes share is attributed to neither (to their name, if that is one); what was not found in
//     time is unattributed, and counted.
//   - The first packet of a flow may be ahead of its event, which comes through another queue. Ask keeps the question until the
//     event is there, a look has found the socket, or the deadline has passed; the packet is held meanwhile. An inbound packet does
//     not wait for an event, since the stack makes it only when it gets the packet: it is answered by sockets that are bound or
//     listen.
//   - Numbers of processes are used again. A process that started after the event that names it is another one, so only the number
//     is told; and a Process carries its start time, which tells it from a later one.
//
// Table may be used from any goroutine; it has one lock and is asked once for each flow, never for each packet: keep the answer in
// the flow's context. All tables are bounded.
package proc
