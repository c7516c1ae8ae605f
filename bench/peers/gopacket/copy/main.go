// Command copy writes package fork: package google with the fork in the library's place. It is run in the folder of google by go
// generate.
package main

import (
	"fmt"
	"os"

	"github.com/weirnet/weir/bench/peers/gopacket/copies"
)

func main() {
	files, err := copies.Make(".")
	if err == nil {
		err = copies.Write(files, "../fork")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "copy:", err)
		os.Exit(1)
	}
}
