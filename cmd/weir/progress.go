package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/weirnet/weir/internal/daemon"
)

const progressEvery = 100 * time.Millisecond

// showProgress draws a bar on w, if it is a terminal, until the function that it returns is called, which takes the bar away.
func showProgress(w io.Writer, s *daemon.Session) (done func()) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}
	}
	stop, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		drawProgress(w, s.Progress, stop)
	}()
	return func() {
		close(stop)
		<-gone
	}
}

// drawProgress draws until stop is closed. A run that is over before the first drawing shows nothing.
func drawProgress(w io.Writer, progress func() daemon.Progress, stop <-chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	bar := newBar(w, progress())
	bar.StartWithoutRender()
	for {
		select {
		case <-stop:
			_ = bar.Clear() // a terminal that is gone needs none
			return
		case <-tick.C:
			_ = bar.Set64(barAt(progress())) // as above
		}
	}
}

func newBar(w io.Writer, p daemon.Progress) *progressbar.ProgressBar {
	total := p.Total
	if total == 0 {
		total = -1 // a spinner
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("weir"),
		progressbar.OptionShowBytes(p.Bytes),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("packets"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own: ours draws often enough
		progressbar.OptionClearOnFinish(),
	)
}

// barAt never reaches the end: the bar would take that for leave to finish by itself.
func barAt(p daemon.Progress) int64 {
	if p.Total == 0 {
		return p.Done
	}
	return min(p.Done, p.Total-1)
}
