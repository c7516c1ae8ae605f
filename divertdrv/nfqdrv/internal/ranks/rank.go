// Package ranks lets handles know, in every process and without marks, which packets other handles injected: a handle of rank r
// must see what was injected by higher ranks only.
//
//	an injector's key (package reinject) ── Add(key, rank) ──▶ table ──▶ Prologue of each handle's filter program
//
// A key names where a packet comes from: the cookie of the socket that sent it, or the secret in the frame that was put into a
// device's ingress. The table and the counter of openings are BPF maps that all processes share. They are found by name among
// the kernel's maps, so nothing is pinned, and are gone when the last holder is. Linux only.
package ranks

import "fmt"

// Rank is a handle's place in the order of all handles: the priority above the number of its opening, so that of equal
// priorities the newest is higher. A higher rank sees packets first. No handle has the zero rank.
type Rank uint64

const (
	openingBits = 48
	priorityOff = 1 << 15

	// PriorityMax and -PriorityMax bound a handle's priority (WinDivert: WINDIVERT_PRIORITY_HIGHEST).
	PriorityMax = 30000
)

func newRank(priority int16, opening uint64) Rank {
	return Rank(uint64(int(priority)+priorityOff)<<openingBits | opening&(1<<openingBits-1))
}

// Priority is the handle's.
func (r Rank) Priority() int16 { return int16(int(r>>openingBits) - priorityOff) }

// Opening counts the handles that were opened, the first being 1. 48 bits do not run out.
func (r Rank) Opening() uint64 { return uint64(r) & (1<<openingBits - 1) }

// Sees reports whether a handle of rank r is to see what a handle of the other rank injected.
func (r Rank) Sees(injector Rank) bool { return r < injector }

func (r Rank) String() string { return fmt.Sprintf("%d#%d", r.Priority(), r.Opening()) }
