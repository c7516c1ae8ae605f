// Package reinject puts IP packets into the Linux kernel, each known as its handle's, so that only lower handles see it.
//
// # The three ways in
//
// Outbound: a raw socket for each family, so the packet is routed, passes OUTPUT and POSTROUTING, and, if it is addressed to this
// host, comes back through the loopback device.
//
// Inbound: a frame is sent on a device of ours, the inlet, where an eBPF program moves it to the ingress of the interface that the
// Address names. It then arrives as if that interface had received it: tc ingress, PREROUTING, routing, INPUT.
//
// Forward: inbound again, on the interface by which the packet came to this host (SubIfIdx of its Address; 0: the one that leads
// back to its source), after the kernel said that it will forward the packet to the interface in IfIdx (0: any). So handles at
// FORWARD and the administrator's rules there see it. The hop that the kernel takes off is added before.
//
// # How a packet is known
//
// A program at OUTPUT finds the cookie of the socket that injected: see [Injector.Sockets]. A program at PREROUTING, INPUT or
// FORWARD finds [Config.Source] as the source address of the frame; where the interface has no such addresses (tun, wireguard),
// it is in tc_index and hash of the socket buffer: see [TagIndex] and [TagHash]. fwmarks are left alone. Source must be a secret:
// neighbours choose the addresses of their frames, and who knew it could send past the handles. On an interface without
// addresses a tc ingress program of somebody else can wipe the tag, since the kernel writes tc_index after it; the packet is then
// seen by all handles.
//
// # What the kernel changes, outbound
//
// IPv4: the header checksum is computed; identification 0 is replaced unless DF is set; source 0.0.0.0 is replaced by an address
// of the interface. Nothing else, and nothing in IPv6. Policy routing sees the packet's own source and TOS, but neither its ports
// nor a firewall mark that the packet had before OUTPUT. A multicast packet comes back to members on this host. A packet over the
// MTU of its interface is ErrTooBig, with or without DF: cutting it is the caller's choice (divertdrv/frag), which the kernel does
// not take over for packets with their own header.
//
// What a rule of the host or a lower handle drops at OUTPUT was injected all the same, as in WinDivert, and is counted. What a
// device's full queue drops is not known, as for every sender.
//
// # What the kernel drops in silence, inbound
//
// What it would drop from the wire: a wrong IPv4 header checksum, a source that is our own, a loopback address, and a source that
// rp_filter finds on another interface. The loopback device receives only what it sent; packets to this host's own addresses are
// injected outbound, as in WinDivert, and inbound on it is refused. With NAT, forward injection starts before it, and conntrack
// sees the translated addresses. A hop limit of 255 leaves as 254 on the forward path.
package reinject
