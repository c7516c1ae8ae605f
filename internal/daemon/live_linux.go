package daemon

import "github.com/weirnet/weir/divertdrv/nfqdrv"

// platform is the backend that Auto stands for.
const platform = NFQueue

func openLive(d *Driver, fail func(error)) (backend, error) {
	v := &live{
		Driver: nfqdrv.New(nfqdrv.Config{Namespace: d.Namespace, FailClosed: d.FailClosed, Spin: d.Spin}),
		remedy: "run as root, or see what lacks with: weir doctor",
	}
	if d.Out == "" {
		return v, nil
	}
	var err error
	v.out, err = createOutput(d.Out, fail)
	return v, err
}
