package inject

// Scope is open while a classification runs. The processor makes and owns it, one per worker; inject only asks it whether TCP
// may go in inline, and in whose name. The zero Scope is closed.
type Scope struct {
	layer, callout  string
	open, transport bool
}

// Enter opens the scope at a layer for a callout; transport says that the layer is a transport layer or above.
func (s *Scope) Enter(layer, callout string, transport bool) {
	s.layer, s.callout, s.open, s.transport = layer, callout, true, transport
}

// Leave closes it.
func (s *Scope) Leave() { s.open = false }

// atTransport: TCP endpoint locks are held while transport layers classify, so that injecting TCP there would deadlock the stack.
func (s *Scope) atTransport() bool { return s != nil && s.open && s.transport }
