// Package filter is the filter language of the driver seam: WinDivert 2.2's (https://reqrypt.org/windivert-doc.html section 7),
// with the same texts accepted and the same answer for every packet.
//
// A text becomes tokens (lexer.go), a tree (parser.go), a list of tests with a success and a failure edge that only lead
// forward (flatten.go), which is also what the driver runs. From that the optimiser makes a graph (graph.go), in which edges are
// led past what is known on their way (thread.go) and what loads the same value comes together (chain.go), and from the graph
// the nodes (lower.go) that Match walks (run.go), and MatchBatch for many packets side by side (batch.go).
//
// Where WinDivert itself is wrong, the default is right and Compat22 reproduces it:
//
//   - a header field compared with a constant that it can never have (tcp.DstPort == 70000) is false for every packet;
//     WinDivert 2.2 lets every packet match that lacks the header;
//   - ipv6.FlowLabel is the flow label; WinDivert 2.2 shuffles its bytes;
//   - ip and ipv6 tell the address family at the FLOW and SOCKET layers; in WinDivert 2.2 they are 0 there.
//
// By default Parse also refuses what WinDivert's compiler passes and its driver then refuses: -0, and constants too large for
// the field, where they are left in the program. Under Compat22 they are taken as WinDivert's user-mode helpers take them.
//
// For people there are Format (the canonical text of a program), Explain (why a packet matches or not), Lint (what is hardly
// meant), and errors with the place and a remedy; docs/filter.md is the language's manual. Object and Binary are the forms that
// WinDivert's driver takes; Parse and FromBinary read them.
//
// A Program is immutable and safe for concurrent use. Parse runs in linear time and bounded memory on any text; matching
// allocates nothing, never panics on any bytes, and takes at most one step per test.
package filter
