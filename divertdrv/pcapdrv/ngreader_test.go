package pcapdrv_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Why pcapng is not read by gopacket: what its NgReader does with files that our reader reads, or refuses with an error. A
// version without these faults could take over.
func TestFaultsOfGopacketsNgReader(t *testing.T) {
	packet := rec{data: packetAB}
	file := func(link uint16, resolution byte) *ng {
		n := &ng{order: orders["little"]}
		n.section(0).iface(link, 0, n.opt(9, []byte{resolution}), n.opt(0, nil))
		return n.enhanced(0, 1<<33-1, packet)
	}
	t.Run("link types have 8 bits", func(t *testing.T) {
		if link, _, err := ngRead(file(276, 6).b); err != nil || int(link) == 276 {
			t.Errorf("%v, %v", link, err)
		}
	})
	t.Run("binary resolutions are inexact", func(t *testing.T) { // 2^33-1 ticks of 2^-32 s are a tick less than 2 s
		if _, nanos, err := ngRead(file(101, 0x80|32).b); err != nil || nanos == 1_999_999_999 {
			t.Errorf("%d, %v", nanos, err)
		}
	})
	t.Run("a file that is cut off ends well", func(t *testing.T) {
		whole := file(101, 6).b
		if _, _, err := ngRead(whole[:len(whole)-20]); err != io.EOF {
			t.Errorf("%v", err)
		}
	})
	t.Run("a hostile resolution panics", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, _, _ = ngRead(file(101, 0x80|64).b)
	})
	t.Run("version 1.2 is refused", func(t *testing.T) {
		n := (&ng{order: orders["little"]}).section(2).iface(101, 0).enhanced(0, 1, packet)
		if _, _, err := ngRead(n.b); err != pcapgo.ErrNgVersionMismatch {
			t.Errorf("%v", err)
		}
	})
}

// ngRead reads the first packet with gopacket.
func ngRead(file []byte) (link layers.LinkType, nanos int64, err error) {
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		return 0, 0, err
	}
	_, info, err := r.ReadPacketData()
	if err != nil {
		return 0, 0, err
	}
	return info.AncillaryData[0].(layers.LinkType), info.Timestamp.UnixNano(), nil
}
