package main

func Example() {
	main()
	// Output: 662 DNS questions: 529 passed, 133 about the tracker were blocked
}
