package doctor

import "golang.org/x/sys/unix"

var checks = []check{
	{"privileges", privileges},
	{"kernel", features},
	{"queues", queues},
	{"fragments", fragments},
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
