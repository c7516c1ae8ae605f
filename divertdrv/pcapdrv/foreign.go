package pcapdrv

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
)

// foreigners are files that people take for captures, by their first bytes, and what to do about each.
var foreigners = []struct{ magic, remedy string }{
	{"\x28\xb5\x2f\xfd", "it is compressed with zstd: run zstd -d first"},
	{"\x04\x22\x4d\x18", "it is compressed with lz4: run lz4 -d first"},
	{"\xfd7zX", "it is compressed with xz: run xz -d first"},
	{"BZh", "it is compressed with bzip2: run bzip2 -d first"},
	{"PK\x03\x04", "it is a zip archive: unpack it first"},
	{"\x34\xcd\xb2\xa1", "it is pcap as modified by Kuznetzov: convert it with editcap -F pcapng"},
	{"\xa1\xb2\xcd\x34", "it is pcap as modified by Kuznetzov: convert it with editcap -F pcapng"},
	{"snoo", "it is a snoop file: convert it with editcap -F pcapng"},
	{"TRSN", "it is a NetXray file: convert it with editcap -F pcapng"},
	{"GMBU", "it is a Microsoft NetMon file: convert it with editcap -F pcapng"},
}

// foreign is the error for a file that is none of ours.
func foreign(magic []byte) error {
	for _, f := range foreigners {
		if bytes.HasPrefix(magic, []byte(f.magic)) {
			return fmt.Errorf("%w: %s", ErrFormat, f.remedy)
		}
	}
	return fmt.Errorf("%w: it starts with % x; wanted is pcap or pcapng, plain or compressed with gzip", ErrFormat, magic)
}

func isCorrupt(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.As(err, &corrupt)
}
