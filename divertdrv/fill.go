package divertdrv

// This file is the driver's side of a batch: filling it, and reading what was decided.

// Room says whether another packet may be added and how many bytes are left for it.
func (b *Batch) Room() (more bool, bytes int) {
	return b.n < b.limit, len(b.block) - align(b.used)
}

// Left is how many packets may be added in this round.
func (b *Batch) Left() int { return b.limit - b.n }

// Limit lets a driver add at most n packets (1 or more) in this round: for a driver that wraps another and stops it at a count.
func (b *Batch) Limit(n int) {
	b.expect(filling, "Limit")
	b.limit = min(b.limit, max(n, 1))
}

// Free returns the unused rest of the block, aligned, for a driver that writes packets there before it calls Extend. Only the
// driver that is filling the batch may write to it.
func (b *Batch) Free() []byte { return b.block[min(align(b.used), len(b.block)):] }

// Append copies a packet into the batch, its IP header aligned to 8 bytes. It reports whether there was room; without room for
// the bytes nothing is added.
func (b *Batch) Append(a *Address, data []byte, token uint64) bool {
	free := b.Free()
	if b.n == b.limit || len(data) > len(free) {
		return false
	}
	copy(free, data)
	b.Extend(a, 0, len(data), len(data), token)
	return true
}

// Extend adds the packet that the driver wrote to Free()[off:off+n] and takes used bytes (at least off+n) out of the free block.
func (b *Batch) Extend(a *Address, off, n, used int, token uint64) {
	b.expect(filling, "Extend")
	start := align(b.used) + off
	b.used = align(b.used) + used
	i := b.n
	b.n++
	b.addrs[i] = *a
	b.slots[i] = slot{token: token, note: note{length: n}}
	b.packets[i] = Packet{Addr: &b.addrs[i], Data: b.block[start : start+n : start+n], b: b, i: uint32(i), gen: b.gen}
}

// Token returns what the driver called packet i.
func (b *Batch) Token(i int) uint64 { return b.slots[i].token }

// SetToken calls packet i something else: for a driver that wraps others and must know whose it is. It calls it by its old name
// again before it completes it. Drivers leave the upper 8 bits of a token to who wraps them.
func (b *Batch) SetToken(i int, token uint64) { b.slots[i].token = token }

// Changed says whether packet i's bytes or length were changed since it was received.
func (b *Batch) Changed(i int) bool { return b.slots[i].note.changed }

// Fail tells that packet i, marked Pass, could not be put back: it counts as dropped for that cause.
func (b *Batch) Fail(i int, why Cause) {
	b.expect(completing, "Fail")
	if s := &b.slots[i]; s.mark == Pass {
		s.mark, s.why = Drop, why
	}
}

func align(n int) int { return (n + headerAlign - 1) &^ (headerAlign - 1) }
