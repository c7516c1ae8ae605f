package pcapdrv

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// sink writes what leaves the engine.
func (d *Driver) sink(a *divertdrv.Address, data []byte) error {
	r := Record{Time: a.Timestamp, Data: data, WireLen: wireLen(data), Link: LinkRaw, Direction: Inbound}
	if a.Outbound() {
		r.Direction = Outbound
	}
	if err := d.write(&r); err != nil {
		return err
	}
	d.packets.Add(1)
	d.bytes.Add(uint64(len(data)))
	return nil
}

// passBy writes a bystander.
func (d *Driver) passBy(r *Record) {
	if d.write(r) == nil {
		d.frames.Add(1)
	}
}

// write writes to the output, if there is one. When it has failed nothing more is read.
func (d *Driver) write(r *Record) error {
	if d.writer == nil {
		return nil
	}
	err := d.writer.Write(*r)
	if err != nil {
		d.source.end(err)
	}
	return err
}

// wireLen is the length of a packet by its header, which the capture may have cut short.
func wireLen(data []byte) int {
	var h wire.Headers
	if !wire.Parse(data, &h) {
		return len(data)
	}
	return int(h.Total)
}
