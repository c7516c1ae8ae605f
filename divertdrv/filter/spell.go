package filter

import (
	"fmt"
	"strconv"

	"github.com/weirnet/weir/divertdrv/addr"
)

var opText = [numOps]string{"=", "!=", "<", "<=", ">", ">="}

// spell writes a comparison as Format does: a field that is 0 or 1 alone or behind not, = for equality, macros, addresses,
// hexadecimal for words of packets, indices in bytes.
func (c *comparison) spell(l addr.Layer) string {
	if c.value == (number{}) && c.field.isYesNo() {
		switch c.op {
		case opNEQ:
			return c.operand()
		case opEQ:
			return "not " + c.operand()
		}
	}
	return c.operand() + " " + opText[c.op] + " " + spellValue(c.field, c.value, l)
}

// spellBriefly writes a comparison with the least possible number of tokens.
func (c *comparison) spellBriefly(l addr.Layer) string {
	name := c.operand()
	if size := c.field.size(); size != 0 && c.index%size == 0 {
		name = fmt.Sprintf("%s[%d]", fields[c.field].name, c.index/size)
	}
	switch {
	case c.value == (number{}) && c.op == opNEQ:
		return name
	case c.value == (number{}) && c.op == opEQ:
		return "not " + name
	}
	return name + " " + opText[c.op] + " " + spellValue(c.field, c.value, l)
}

// operand is the field with its index.
func (c *comparison) operand() string {
	name := fields[c.field].name
	if c.field.size() == 0 {
		return name
	}
	return name + "[" + strconv.Itoa(c.index) + "b]"
}

// isYesNo says that the field is 0 or 1.
func (id fieldID) isYesNo() bool {
	return fields[id].values == bit || id == fLoopback || id == fImpostor || id >= fTrue
}

// spellValue writes a constant or a value of a field.
func spellValue(id fieldID, v number, l addr.Layer) string {
	if name := macroFor(id, v, l); name != "" {
		return name
	}
	if size := id.size(); size != 0 && v.mag.hi == 0 {
		sign := ""
		if v.neg {
			sign = "-"
		}
		return fmt.Sprintf("%s0x%0*x", sign, 2*size, v.mag.lo)
	}
	return formatValue(id, v)
}
