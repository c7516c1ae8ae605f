package tap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/processor"
)

// OnBroken has tell called once, by the goroutine that writes, when nothing can be written any more: the disk is full, say. Packets go on,
// and what is not written is counted. Call it before Start.
func (c *Callout) OnBroken(tell func(error)) { c.broken = tell }

// Start makes the file and begins to write. The error names the file. It may be called again after Close: the file is made anew.
func (c *Callout) Start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file != nil {
		return fmt.Errorf("callout %q: it was started before", c.name)
	}
	f, err := os.Create(c.cfg.Write)
	if err != nil {
		return fmt.Errorf("callout %q: %w", c.name, err)
	}
	c.start(f)
	c.file = f
	return nil
}

// start begins to write to w.
func (c *Callout) start(w io.Writer) {
	mine := c.queue.open(c.cfg.Queue, c.cfg.Snap)
	c.gone, c.failed = make(chan struct{}), nil
	go func() {
		defer close(c.gone)
		c.failed = c.write(w, mine)
	}()
}

// Close writes what is queued and closes the file. The error is the first that writing met; what was not written is counted. It
// waits for the disk. Closing what was not started does nothing.
func (c *Callout) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file == nil {
		return nil
	}
	err := errors.Join(c.stop(), c.file.Close())
	c.file = nil
	if err != nil {
		return fmt.Errorf("callout %q: %w", c.name, err)
	}
	return nil
}

// stop ends writing.
func (c *Callout) stop() error {
	c.queue.close()
	<-c.gone
	return c.failed
}

// write writes chunks until the queue is closed.
func (c *Callout) write(to io.Writer, mine *chunk) error {
	w, err := pcapdrv.NewWriter(to)
	for told := false; ; {
		full, more := c.queue.take(mine)
		if err = c.writeChunk(w, full, err); err != nil && !told && c.broken != nil {
			told = true
			c.broken(fmt.Errorf("callout %q: %w", c.name, err))
		}
		if !more {
			return err
		}
		full.reset()
		mine = full
	}
}

// writeChunk writes records and has them in the file; after an error they only count.
func (c *Callout) writeChunk(w *pcapdrv.Writer, k *chunk, err error) error {
	at := 0
	for i := range k.entries {
		e := &k.entries[i]
		if err == nil {
			err = w.Write(c.record(e, k.data[at:at+e.kept]))
		}
		at += e.kept
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		c.unwritten.Add(uint64(len(k.entries)))
	} else {
		c.written.Add(uint64(len(k.entries)))
	}
	return err
}

// record says what an entry is in the words of pcapng.
func (c *Callout) record(e *entry, data []byte) pcapdrv.Record {
	r := pcapdrv.Record{
		Time: e.time, Data: data, WireLen: e.length, Link: pcapdrv.LinkRaw, Direction: pcapdrv.Inbound,
		Interface: c.name + "/seen", PacketID: e.id, Comment: e.comment(),
	}
	if e.outbound {
		r.Direction = pcapdrv.Outbound
	}
	if e.kind == judged {
		r.Interface = c.name + "/judged"
	}
	return r
}

// comment is words of the form key=value; a value with anything but plain characters is quoted as in Go.
func (e *entry) comment() string {
	var words []string
	add := func(key, value string) {
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == '"' || r == '=' || r > '~' }) {
			value = strconv.Quote(value)
		}
		words = append(words, key+"="+value)
	}
	if e.kind == seen {
		add("layer", e.layer.String())
		add("filter", e.filter)
		if e.cause != 0 {
			add("discarded", e.cause.String())
		}
		return strings.Join(words, " ")
	}
	add("verdict", e.fate.String())
	if e.fate == processor.Dropped {
		add("cause", e.cause.String())
	}
	if e.filter != "" {
		add("filter", e.filter)
		add("layer", e.layer.String())
	}
	add("latency_ns", strconv.FormatInt(e.took, 10))
	return strings.Join(words, " ")
}
