// Package craft builds the packets that Weir answers with. A crafted packet is complete (lengths and checksums are final) and
// belongs to the caller.
package craft
