package filter

import "math"

// largest returns the greatest constant that WinDivert's driver takes for a field. A program with a greater one it refuses when
// it is opened, though the compiler passes it for the fields that it does not fold, and for ip.TOS.
func (id fieldID) largest() number {
	if id == fIPTOS {
		return u8.hi
	}
	return fields[id].values.hi
}

// refused says why WinDivert's driver refuses a test, "" if it takes it.
func (c *comparison) refused() string {
	seen := *c
	seen.truncate()
	switch largest := c.field.largest(); {
	case c.value.negativeZero():
		return "-0 is no number to the driver; write 0"
	case seen.value.negativeZero():
		return "the driver sees the lowest 32 bits of the constant, which are -0, and that is no number to it; write -1"
	case c.value.cmp(largest) > 0:
		return fields[c.field].name + " is at most " + formatValue(c.field, largest) + ", and the driver takes no greater constant for it"
	}
	return ""
}

// truncate cuts the constant down to what WinDivert compares: the lowest words of the magnitude.
func (c *comparison) truncate() {
	switch c.field.words() {
	case 1:
		c.value.mag = u128{lo: c.value.mag.lo & math.MaxUint32}
	case 2:
		c.value.mag.hi = 0
	}
}
