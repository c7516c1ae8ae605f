// Package flows derives the FLOW layer of a divert driver from the packets of one host: a flow is established by a TCP
// handshake or by the first packet of any other conversation, and deleted by FINs, a RST, silence, or the end of its socket.
//
// A Table is told of each packet that the host emits, before anything can stop it, and of each that reaches the host, when
// nothing can stop it any more: what a handle drops on its way in was never there. It belongs to one goroutine at a time and
// allocates only while it grows; its size is bounded.
package flows
