package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// pagerDutyHosts are the hosts in whose place the sandbox stands.
var pagerDutyHosts = []string{"events.pagerduty.com", "events.eu.pagerduty.com"}

// place is what a program in the sandbox has to be told.
type place struct {
	dir        string // temporary, ours alone
	proxyURL   string // with the token
	tlsAddress string // where Node is sent to
	greeting   string // what it has to send there first
	pageURL    string // with the token
	token      string
	ca         []byte
	keepState  bool
}

// environ returns the environment of the program, and writes the files that it
// names.
func (p *place) environ(sys *system) ([]string, error) {
	bundle, err := p.bundle("bundle.pem", sys.getenv("SSL_CERT_FILE"), systemBundles)
	if err != nil {
		return nil, err
	}
	extra, err := p.bundle("extra.pem", sys.getenv("NODE_EXTRA_CA_CERTS"), nil)
	if err != nil {
		return nil, err
	}
	preload := filepath.Join(p.dir, "preload.cjs")
	if err := os.WriteFile(preload, []byte(nodePreload(p.tlsAddress, p.greeting)), 0o600); err != nil {
		return nil, err
	}
	direct := withoutPagerDuty(sys.getenv("NO_PROXY") + "," + sys.getenv("no_proxy"))
	set := map[string]string{
		"HTTPS_PROXY":            p.proxyURL,
		"https_proxy":            p.proxyURL,
		"NO_PROXY":               direct,
		"no_proxy":               direct,
		"SSL_CERT_FILE":          bundle,
		"CURL_CA_BUNDLE":         bundle,
		"REQUESTS_CA_BUNDLE":     bundle,
		"NODE_EXTRA_CA_CERTS":    extra,
		"NODE_OPTIONS":           nodeOptions(sys.getenv("NODE_OPTIONS"), preload),
		"SHOUTRRR_SANDBOX":       p.pageURL,
		"SHOUTRRR_SANDBOX_TOKEN": p.token,
	}
	if !p.keepState {
		set["XDG_STATE_HOME"] = filepath.Join(p.dir, "state")
	}
	return withVariables(sys.environ, set), nil
}

// withVariables sets variables in an environment. An empty value removes one.
func withVariables(environ []string, set map[string]string) []string {
	var all []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if _, ours := set[name]; !ours {
			all = append(all, pair)
		}
	}
	for name, value := range set {
		if value != "" {
			all = append(all, name+"="+value)
		}
	}
	return all
}

// systemBundles are where systems keep their CA certificates in one file; the
// list is the one of crypto/x509.
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Gentoo, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL 6
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/tls/cacert.pem",                           // OpenELEC
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS, RHEL 7
	"/etc/ssl/cert.pem",                                 // Alpine, macOS, BSD
}

// bundle writes the certificates that the program trusts without the sandbox, and
// the sandbox's own: the program's other connections should go on to work.
func (p *place) bundle(name, given string, otherwise []string) (string, error) {
	files := otherwise
	if given != "" {
		files = []string{given}
	}
	var text []byte
	for _, file := range files {
		var err error
		if text, err = os.ReadFile(file); err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	path := filepath.Join(p.dir, name)
	return path, os.WriteFile(path, append(text, p.ca...), 0o600)
}

// withoutPagerDuty takes out of a list of hosts that need no proxy whatever lets
// PagerDuty's by. Programs read such lists differently, so every reading counts.
func withoutPagerDuty(list string) string {
	var kept []string
	for entry := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		if !coversPagerDuty(entry) {
			kept = append(kept, entry)
		}
	}
	return strings.Join(kept, ",")
}

func coversPagerDuty(entry string) bool {
	name, port, _ := strings.Cut(strings.ToLower(entry), ":")
	if strings.Contains(port, ":") { // an IPv6 address
		return false
	}
	name = strings.TrimSuffix(strings.TrimLeft(name, "*."), ".")
	for _, host := range pagerDutyHosts {
		if strings.HasSuffix(host, name) {
			return true
		}
	}
	return false
}
