// Package pcapdrv is the divert driver for capture files: packets come out of a file, and what passes or is injected goes into
// another one. The same policy runs on it as on a host, and the result is the same every time.
//
//	d, err := pcapdrv.Open(pcapdrv.Options{In: "in.pcap", Out: "out.pcapng"})
//	h, err := divertdrv.Open("tcp.DstPort == 23", divertdrv.Network, &divertdrv.Options{Driver: d})
//	… Recv until ErrShutdown: the file is at its end; then h.Close …
//	err = d.Close() // what could not be written is told here
//
// The path of a frame, in the order of the files:
//
//  1. Reader reads it: pcap through gopacket (pcap.go), pcapng (pcapng*.go), either compressed with gzip (reader.go).
//  2. decap takes its link header off (decap*.go). A frame that carries no IP packet is a bystander: it goes to the output
//     at once and as it is, on an interface of its own link type, and is counted with the reason (stats.go).
//  3. locals tells the direction (local.go), setFinal whether its checksums are final (offload.go).
//  4. The engine that simdrv shares leads it past the handles (source.go is its source; package divertdrv/internal/stack).
//  5. What leaves the engine is written to the output (driver.go, writer.go), a pcapng file of raw IP packets.
//
// # Direction
//
// A packet is outbound or inbound, seen from the host that captured. In this order:
//
//   - What came over the loopback interface (Linux cooked captures tell it), or has loopback addresses at both ends, is
//     outbound and loopback, as in WinDivert.
//   - Where the capture tells the direction, that holds: Linux cooked captures by their packet type, pcapng by the option
//     epb_flags, PPP with direction.
//   - Otherwise a packet is outbound if its source is local, and loopback too if its destination is local as well.
//
// Local are 127.0.0.0/8, ::1, and Options.Local. If that is empty: the source of the first IPv4 packet, of the first packet
// from an IPv6 link-local address, and of the first from any other IPv6 address. Unspecified, loopback, multicast and
// broadcast sources do not count, nor do packets that the capture calls inbound. So name the host's addresses if it was not
// the first to speak.
//
// # Times and order
//
// Address.Timestamp is the capture time. A packet is written with its Address.Timestamp: one that passes with its own, an
// injected one with that of the packet whose Address it was given or, if that is 0, of the packet read last. Packets are
// written in the order in which they pass. Bystanders keep their order among themselves, but come before packets that wait
// in a batch.
//
// # Bytes
//
// A packet that passes unmodified is written as it was read. Ethernet padding is cut off; a packet that the capture itself cut
// short stays so and keeps its length on the wire. Nothing is shed: reading waits for the handles.
//
// A capture that is damaged or cut off delivers its frames up to there; then Recv returns a *ReadError instead of ErrShutdown.
package pcapdrv
