package standin

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/weirnet/weir/divertdrv"
)

// PortFile is where the driver looks for the port of the server, below the drive C: of Wine's.
const PortFile = "weir-standin-port"

// Server answers for the driver. Its methods may be called from any goroutine.
type Server struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	driver divertdrv.Driver
	faults map[Operation][]fault
	ends   map[*end]struct{}
	asked  map[Operation]int
	refuse func(packet []byte) (Status, bool)
}

// fault is an answer that was ordered.
type fault struct {
	status Status
	after  int // requests that are answered as ever before it
}

// Listen starts a server whose handles are opened on d, and writes its port into the file.
func Listen(d divertdrv.Driver, portFile string) (*Server, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		listener: l, driver: d, faults: map[Operation][]fault{}, ends: map[*end]struct{}{}, asked: map[Operation]int{},
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(portFile, []byte(port), 0o600); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("telling the driver the port: %w", err)
	}
	s.serving.Go(s.accept)
	return s, nil
}

// Close ends the server and every handle: requests that wait fail as when a device is unplugged.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for e := range s.ends {
		_ = e.conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
	return err
}

// Use has handles from now on opened on d.
func (s *Server) Use(d divertdrv.Driver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.driver = d
}

// Fail orders that a request is answered with status and nothing is done: the one after the next after requests of op.
func (s *Server) Fail(op Operation, status Status, after int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[op] = append(s.faults[op], fault{status, after})
}

// Refuse has the stack refuse packets that are sent: those for which which returns a status and true. nil: none.
func (s *Server) Refuse(which func(packet []byte) (Status, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = which
}

func (s *Server) refuses(packet []byte) (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse == nil {
		return OK, false
	}
	return s.refuse(packet)
}

// Asked is how many requests of op there were.
func (s *Server) Asked(op Operation) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[op]
}

// Open is the number of handles that are open.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ends)
}

// ordered counts a request and returns the answer that was ordered for it.
func (s *Server) ordered(op Operation) (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[op]++
	orders := s.faults[op]
	if len(orders) == 0 {
		return 0, false
	}
	if orders[0].after > 0 {
		orders[0].after--
		return 0, false
	}
	s.faults[op] = orders[1:]
	return orders[0].status, true
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		e := &end{server: s, conn: c}
		e.some.L = &e.mu
		s.mu.Lock()
		e.driver = s.driver
		s.ends[e] = struct{}{}
		s.mu.Unlock()
		s.serving.Go(func() {
			e.serve()
			s.mu.Lock()
			delete(s.ends, e)
			s.mu.Unlock()
		})
	}
}
