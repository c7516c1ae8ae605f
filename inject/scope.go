package inject

// Scope is open while a classification runs. The processor makes and owns it, one per worker; inject only asks it whether TCP
// may go in inline. The zero Scope is closed.
type Scope struct {
	open      bool
	transport bool
}

// Enter opens the scope; transport says that the layer is a transport layer or above.
func (s *Scope) Enter(transport bool) { s.open, s.transport = true, transport }

// Leave closes it.
func (s *Scope) Leave() { s.open = false }

// refusesTCP: TCP endpoint locks are held while transport layers classify, so that injecting TCP there would deadlock the stack.
func (s *Scope) refusesTCP() bool { return s != nil && s.open && s.transport }
