package ranks

import (
	"bufio"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childEnv makes the test binary another process with a registry: it says what it did and waits for the end of its input.
const childEnv = "WEIR_RANKS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m)
}

func child() {
	r, err := Open()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	rank, _ := r.Next(7)
	_, key, err := r.NewFrame(rank)
	fmt.Printf("%d %x %v\n", rank, key, err)
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	_ = r.Close()
}
