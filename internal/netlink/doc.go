// Package netlink asks the Linux kernel by netlink: messages, attributes, requests with acknowledgement, dumps. It serves what
// is configured now and then (rules, links, addresses), not the path of packets. It knows no family's messages: their
// owners build the bodies with [Attrs] and read them with [Each]. Linux only.
//
// It is a small package of our own since what it serves needs no more, and needs what libraries of families do not offer: tables
// with an owner, transactions that are judged and never done, sockets in another namespace.
//
// Source: netlink(7), RFC 3549, and the kernel's Documentation/userspace-api/netlink.
package netlink
