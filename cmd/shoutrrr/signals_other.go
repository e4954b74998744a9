//go:build !unix

package main

import "os"

// forwarded are the signals that a program in the sandbox gets from us; here the
// console sends them to all of its programs itself.
var forwarded = []os.Signal{os.Interrupt}

func reachesChildren(os.Signal) bool { return true }

func childStatus(state *os.ProcessState) int { return state.ExitCode() }
