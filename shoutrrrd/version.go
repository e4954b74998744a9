package main

import "runtime/debug"

// version is that of this build: a pseudo-version with the commit when it was built
// in a clone, or "(devel)" if Go was told to leave that out.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
