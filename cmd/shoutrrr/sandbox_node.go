package main

import (
	_ "embed"
	"net"
	"strings"
)

// preloadScript takes Node's connections to PagerDuty to the sandbox: fetch reads
// no HTTPS_PROXY before Node 24, and there only when told to.
//
//go:embed preload.cjs
var preloadScript string

// nodePreload is the script for the sandbox at an address, which takes no connection
// without the greeting.
func nodePreload(address, greeting string) string {
	host, port, _ := net.SplitHostPort(address) // our own listener's
	return strings.NewReplacer("@HOST@", host, "@PORT@", port, "@HOSTS@", strings.Join(pagerDutyHosts, " "), "@GREETING@", strings.TrimSpace(greeting)).Replace(preloadScript)
}

// nodeOptions adds the script to the options that Node has already. Node takes
// double quotes and backslashes in them.
func nodeOptions(given, script string) string {
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(script) + `"`
	return strings.TrimSpace(given + " --require " + quoted)
}
