package service

// scmStates are the manager's numbers (SERVICE_STATUS.dwCurrentState) for ours.
var scmStates = map[uint32]string{1: Stopped, 2: Starting, 3: Stopping, 4: Running, 5: Running, 6: Running, 7: Running}

// scmState is the state of a service that has ended with a status, or runs.
func scmState(number, exit uint32) string {
	state := scmStates[number]
	if state == Stopped && exit != 0 && exit != neverStarted {
		return Failed
	}
	return state
}

// neverStarted is ERROR_SERVICE_NEVER_STARTED: what a service ended with that has not run since the system started.
const neverStarted = 1077
