// Package nettest gives tests network namespaces of their own, joined by veth pairs, and traffic to send through them: nothing of
// the host is touched, and nothing is left behind. All of it is bounded in time; what goes wrong ends the test. Linux only: a
// test file that uses it carries a build tag.
//
//	nettest.Need(t, nettest.Root)
//	net := nettest.NewRouted(t)                       // client - router - server
//	sink := nettest.ListenUDP(t, net.Server.NS, netip.AddrPortFrom(net.Server.V4, 7))
//	nettest.SendUDP(t, net.Client.NS, sink.Addr(), nettest.Stream{Count: 1000, Size: 100})
//	got := sink.Wait(1000)                            // received, lost, out of order
//
// A namespace has its loopback device up, IPv6 without duplicate address detection, and ping sockets for everybody; all else is
// as the kernel makes it. Helpers that take a testing.TB and end the test are for the test's own goroutine.
package nettest
