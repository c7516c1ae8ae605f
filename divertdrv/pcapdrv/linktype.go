package pcapdrv

import "fmt"

// LinkType says what a frame starts with, in the numbers of the registry that pcap and pcapng share
// (https://www.tcpdump.org/linktypes.html). gopacket v1.1.19 keeps 8 bits of them, which is why there is a type here.
type LinkType uint16

// The link types that are decoded.
const (
	LinkNull      LinkType = 0   // BSD loopback: address family in the byte order of the host that captured
	LinkEthernet  LinkType = 1   // with any number of VLAN tags up to tagsMax, LLC/SNAP, PPPoE sessions
	LinkPPP       LinkType = 9   // RFC 1661, with or without the framing of RFC 1662
	LinkRaw12     LinkType = 12  // raw IP: BSD's own number for LinkRaw
	LinkRaw14     LinkType = 14  // raw IP: OpenBSD's
	LinkPPPHDLC   LinkType = 50  // PPP in HDLC-like framing, RFC 1662
	LinkRaw       LinkType = 101 // IPv4 or IPv6, as its first nibble says
	LinkCiscoHDLC LinkType = 104 // Cisco HDLC, RFC 1547
	LinkLoop      LinkType = 108 // OpenBSD loopback: address family in network byte order
	LinkSLL       LinkType = 113 // Linux cooked: what the device "any" gave before libpcap 1.10
	LinkPPPDir    LinkType = 204 // PPP behind a byte that tells the direction
	LinkIPv4      LinkType = 228
	LinkIPv6      LinkType = 229
	LinkSLL2      LinkType = 276 // Linux cooked version 2, which has the interface too
)

// linkNames names what is decoded, and what else people capture, so that a refusal can say what it was.
var linkNames = map[LinkType]string{
	LinkNull: "NULL", LinkEthernet: "ETHERNET", LinkPPP: "PPP", LinkRaw12: "RAW", LinkRaw14: "RAW", LinkPPPHDLC: "PPP_HDLC",
	LinkRaw: "RAW", LinkCiscoHDLC: "C_HDLC", LinkLoop: "LOOP", LinkSLL: "LINUX_SLL", LinkPPPDir: "PPP_WITH_DIR",
	LinkIPv4: "IPV4", LinkIPv6: "IPV6", LinkSLL2: "LINUX_SLL2",
	3: "AX25", 6: "IEEE802_5", 7: "ARCNET_BSD", 8: "SLIP", 10: "FDDI", 51: "PPP_ETHER", 100: "ATM_RFC1483",
	105: "IEEE802_11", 107: "FRELAY", 114: "LTALK", 117: "PFLOG", 119: "IEEE802_11_PRISM", 122: "IP_OVER_FC",
	123: "SUNATM", 127: "IEEE802_11_RADIOTAP", 138: "APPLE_IP_OVER_IEEE1394", 143: "DOCSIS", 144: "LINUX_IRDA",
	163: "IEEE802_11_AVS", 187: "BLUETOOTH_HCI_H4", 189: "USB_LINUX", 195: "IEEE802_15_4_WITHFCS",
	201: "BLUETOOTH_HCI_H4_WITH_PHDR", 220: "USB_LINUX_MMAPPED", 227: "CAN_SOCKETCAN", 231: "DBUS", 239: "NFLOG",
	247: "INFINIBAND", 249: "USBPCAP", 251: "BLUETOOTH_LE_LL", 253: "NETLINK", 266: "USB_DARWIN", 274: "ETHERNET_MPACKET",
}

// String returns the number and, where it is known, the registry's name: "105 (IEEE802_11)".
func (l LinkType) String() string {
	if name, ok := linkNames[l]; ok {
		return fmt.Sprintf("%d (%s)", uint16(l), name)
	}
	return fmt.Sprintf("%d", uint16(l))
}
