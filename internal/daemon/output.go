package daemon

import (
	"errors"
	"os"
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// output is a pcapng file of what leaves a driver that writes none itself. Its methods may be called from any goroutine; nil
// closes and does nothing.
type output struct {
	file *os.File
	fail func(error) // told once, when the file breaks

	mu     sync.Mutex // guards all below
	writer *pcapdrv.Writer
	last   int64 // time of the packet that left last
	count  uint64
	broken bool
}

func createOutput(path string, fail func(error)) (*output, error) {
	o := &output{fail: fail}
	var err error
	if o.file, err = os.Create(path); err != nil {
		return nil, err
	}
	if o.writer, err = pcapdrv.NewWriter(o.file); err != nil {
		return nil, errors.Join(err, o.file.Close())
	}
	return o, nil
}

// write records a packet that leaves, of which there may be less than it has on the wire. Data is not kept.
func (o *output) write(a *divertdrv.Address, data []byte, wireLen int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := pcapdrv.Record{Time: a.Timestamp, Data: data, WireLen: wireLen, Link: pcapdrv.LinkRaw, Direction: pcapdrv.Inbound}
	if a.Outbound() {
		r.Direction = pcapdrv.Outbound
	}
	if r.Time == 0 { // injected, with an Address of its own
		r.Time = o.last
	}
	o.last = r.Time
	o.count++
	if err := o.writer.Write(r); err != nil && !o.broken {
		o.broken = true
		o.fail(err)
	}
}

// written is how many packets were given to the file.
func (o *output) written() uint64 {
	if o == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

func (o *output) close() error {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.writer.Flush()
	if o.broken {
		err = nil // it has been told
	}
	return errors.Join(err, o.file.Close())
}
