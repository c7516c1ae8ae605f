package filter

import (
	"reflect"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
)

func TestCompiled(t *testing.T) {
	got := mustParse(t, "not packet16[-3b] > 7 and (ip.SrcAddr = 10.0.0.1 or tcp.SeqNum > -5)", addr.Network).Compiled()
	want := []Test{
		{Field: "packet16", Index: -3, Text: "packet16[-3b] <= 0x0007", Low: 7, Holds: [3]bool{true, true, false}, True: 1, False: Reject},
		{Field: "ip.SrcAddr", Text: "ip.SrcAddr = 10.0.0.1", Low: 0xffff_0a000001, Holds: [3]bool{false, true, false}, True: Accept, False: 2},
		{Field: "tcp.SeqNum", Text: "tcp.SeqNum > -5", Negative: true, Low: 5, Holds: [3]bool{false, false, true}, True: Accept, False: Reject},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Under Compat22 the constant is what WinDivert's library compares with.
func TestCompiledCompat22(t *testing.T) {
	p := mustParse(t, "tcp.SeqNum == 0x100000007", addr.Network, Compat22())
	if c := p.Compiled(); !p.IsCompat22() || len(c) != 1 || c[0].Low != 7 || c[0].High != 0 {
		t.Errorf("%+v", c)
	}
}
