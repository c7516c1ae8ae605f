package standin

import (
	"encoding/binary"
	"net"
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

// The version that both sides show each other, as in windivert_device.h: the number of the library, and the driver's.
const (
	magicLibrary = 0x4C4C447669645724
	magicDriver  = 0x5359537669645723
	versionSize  = 64
	priorityZero = 30000 // priorities are sent without a sign
)

// end is a handle as the driver has it: one connection.
type end struct {
	server *Server
	conn   net.Conn
	driver divertdrv.Driver
	layer  divertdrv.Layer
	opts   divertdrv.Options

	initialized bool
	handle      *divertdrv.Handle // nil before Startup
	readers     sync.WaitGroup

	writing sync.Mutex // guards the way out of conn

	mu      sync.Mutex // guards what follows
	some    sync.Cond  // waiting or over changed
	waiting []*frame   // Recv requests, oldest first
	current *frame     // the one that is being read for; nil: it was cancelled, or there is none
	over    bool
	extra   []extra // read for a request that was cancelled meanwhile
}

// extra is a packet that nobody has yet.
type extra struct {
	addr divertdrv.Address
	data []byte
}

// serve answers until the driver closes the handle, or is gone.
func (e *end) serve() {
	defer func() {
		e.close()
		_ = e.conn.Close()
	}()
	for {
		f, err := readFrame(e.conn)
		if err != nil {
			return
		}
		if status, ordered := e.server.ordered(f.operation); ordered {
			e.answer(f, status, 0, nil)
			continue
		}
		switch f.operation {
		case Recv:
			e.enqueue(f)
		case Cancel:
			e.cancel(f)
		case Close:
			e.close()
			e.answer(f, OK, 0, nil)
			return
		default:
			status, payload := e.do(f)
			e.answer(f, status, 0, payload)
		}
	}
}

func (e *end) answer(f *frame, status Status, addresses int, payload []byte) {
	a := frame{id: f.id, operation: f.operation, status: status, addresses: uint32(addresses), payload: payload}
	e.writing.Lock()
	defer e.writing.Unlock()
	_, _ = e.conn.Write(a.append(nil)) // a driver that is gone hears nothing
}

// do answers what is answered at once.
func (e *end) do(f *frame) (Status, []byte) {
	switch f.operation {
	case Create:
		return OK, nil
	case Initialize:
		return e.initialize(f)
	case Startup:
		return e.startup(f.payload), nil
	}
	if e.handle == nil {
		return InvalidState, nil
	}
	switch f.operation {
	case Send:
		return e.send(f), nil
	case SetParam:
		return statusOf(e.handle.SetParam(divertdrv.Param(f.word(1)), f.word(0))), nil
	case GetParam:
		v, err := e.handle.Param(divertdrv.Param(f.word(0)))
		return statusOf(err), binary.LittleEndian.AppendUint64(nil, v)
	case Shutdown:
		return statusOf(e.handle.Shutdown(divertdrv.Shutdown(f.word(0)))), nil
	}
	return InvalidParameter, nil
}

func (e *end) initialize(f *frame) (Status, []byte) {
	if e.initialized || len(f.payload) != versionSize {
		return InvalidState, nil
	}
	e.initialized = true
	e.layer = divertdrv.Layer(f.word(0))
	e.opts = divertdrv.Options{Driver: e.driver, Priority: int16(int32(f.word(0)>>32) - priorityZero), Flags: divertdrv.Flags(f.word(1))}
	version := make([]byte, versionSize)
	binary.LittleEndian.PutUint64(version, magicDriver)
	binary.LittleEndian.PutUint32(version[8:], 2)
	binary.LittleEndian.PutUint32(version[12:], 2)
	binary.LittleEndian.PutUint32(version[16:], 64)
	return OK, version
}

func (e *end) startup(program []byte) Status {
	if !e.initialized || e.handle != nil {
		return InvalidState
	}
	prog, err := filter.FromBinary(program, e.layer, filter.Compat22()) // WinDivert's driver has WinDivert's faults
	if err != nil {
		return InvalidParameter
	}
	e.opts.Flags &^= divertdrv.NoInstall // it is the library's
	h, err := divertdrv.OpenProgram(prog, &e.opts)
	if err != nil {
		return statusOf(err)
	}
	e.handle = h
	e.readers.Go(e.read)
	return OK
}

// close puts back what nobody read, and ends the handle.
func (e *end) close() {
	e.mu.Lock()
	e.over = true
	e.some.Broadcast()
	left := e.extra
	e.extra = nil
	e.mu.Unlock()
	if e.handle == nil {
		return
	}
	for _, x := range left {
		_, _ = e.handle.Inject([]divertdrv.Packet{*divertdrv.NewPacket(x.addr, x.data)})
	}
	_ = e.handle.Close()
	e.readers.Wait()
}
