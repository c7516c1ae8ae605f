package doctor

import "github.com/weirnet/weir/divertdrv/nfqdrv"

// features tries what the nfqueue driver uses.
func features() (found []Finding) {
	for _, f := range nfqdrv.Probe() {
		found = append(found, feature(f))
	}
	return found
}

func feature(f nfqdrv.Feature) Finding {
	switch {
	case f.Err == nil:
		return Finding{Name: f.Name, State: OK}
	case f.Need:
		return Finding{Name: f.Name, State: Fail, Detail: f.Err.Error(), Cost: f.Cost, Remedy: f.Remedy}
	}
	return Finding{Name: f.Name, State: Warn, Detail: f.Err.Error(), Cost: f.Cost, Remedy: f.Remedy}
}
