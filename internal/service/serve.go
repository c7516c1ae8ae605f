package service

import "context"

// serve runs the program below a manager that asks for its end by stop, and is told each state. It returns the exit status, when
// the program has ended, which a manager that asked for it waits for.
func serve(ctx context.Context, stop <-chan struct{}, tell func(state string), run func(context.Context) int) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tell(Starting)
	done := make(chan int, 1)
	go func() { done <- run(ctx) }()
	tell(Running)
	select {
	case status := <-done:
		return status
	case <-stop:
	}
	tell(Stopping)
	cancel()
	return <-done
}
