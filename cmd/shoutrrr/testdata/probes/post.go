package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
)

func main() {
	resp, err := http.Post("https://events.pagerduty.com/v2/enqueue", "application/json", strings.NewReader(os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(resp.StatusCode, resp.Proto)
}
