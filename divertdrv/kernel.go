package divertdrv

import "slices"

// KernelPart says what a driver's program in the kernel decides of a handle's filter at one hook. It takes all packets that the
// filter takes there; where tests are left it may take more, which Stats.Unmatched counts when the filter itself is asked.
type KernelPart struct {
	Hook  string
	Never bool         // no packet of this hook matches, so none is asked about
	Left  []KernelTest // the tests that are left to user space; none: the kernel decides alone
}

// KernelTest is a test that is left to user space.
type KernelTest struct {
	Test      int // from 1, as in filter.Explanation
	Text, Why string
}

// Exact says that the kernel decides alone, at each hook. It is false where there is no kernel part.
func Exact(parts []KernelPart) bool {
	return len(parts) > 0 && !slices.ContainsFunc(parts, func(p KernelPart) bool { return len(p.Left) > 0 })
}

// Kernel says which part of the filter runs in the kernel; nil: none does, or the driver does not tell.
func (h *Handle) Kernel() []KernelPart {
	if c, ok := as[interface{ Kernel() []KernelPart }](h.conn); ok {
		return c.Kernel()
	}
	return nil
}
