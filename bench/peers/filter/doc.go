// Package filter runs the same filters over the same packets in Weir and in what others have: golang.org/x/net/bpf's virtual
// machine, expr, cel-go, closures, and Go itself as the ceiling. Its test holds that all give the same answer for every packet;
// weir bench filter --peers measures them.
//
// BPF reads the bytes of each packet and finds the headers in them. All others are given what was parsed before: Weir
// wire.Headers, the rest a struct that has every field ready, which is less work than Weir's. So Weir is also measured with
// parsing.
package filter
