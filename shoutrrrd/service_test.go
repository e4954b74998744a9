package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
)

// installed puts the unit of the documentation below a folder, as its own comment has it
// done, and returns where.
func installed(t *testing.T) (root string, environ []string) {
	t.Helper()
	root = t.TempDir()
	if err := os.Chmod(filepath.Dir(root), 0o755); err != nil { // the user of the service has to enter it
		t.Fatal(err)
	}
	for _, folder := range []string{"etc/systemd/system", "usr/bin", "bin"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range [][2]string{{filepath.Join(binaries, "shoutrrrd"), "bin/shoutrrrd"}, {"../docs", "docs"}} {
		whole, err := filepath.Abs(link[0])
		if err == nil {
			err = os.Symlink(whole, filepath.Join(root, link[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root, []string{"SYSTEMD_UNIT_PATH=" + filepath.Join(root, "etc/systemd/system")}
}

// instructions are the commands in the comment of the unit.
func instructions(t *testing.T) (script string) {
	t.Helper()
	head, _, _ := strings.Cut(readPage(t, "shoutrrrd.service"), "\n[Unit]")
	for _, line := range regexp.MustCompile(`(?m)^#   (.*)$`).FindAllStringSubmatch(head, -1) {
		script += line[1] + "\n"
	}
	return script
}

// follow runs the instructions below root, all but those that speak to systemd itself,
// and returns these.
func follow(t *testing.T, root string) (toSystemd []string) {
	t.Helper()
	var script string
	for line := range strings.Lines(instructions(t)) {
		if strings.Contains(line, "systemctl ") || strings.HasPrefix(line, "shoutrrrd ") {
			toSystemd = append(toSystemd, strings.TrimSpace(line))
			continue
		}
		script += regexp.MustCompile(`(^|[\s"'>])/(etc|usr)/`).ReplaceAllString(line, "${1}"+root+"/$2/")
	}
	install := exec.Command("sh", "-eu", "-c", script)
	install.Dir = root
	install.Stdin = strings.NewReader(testKey + "\n")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, script, out)
	}
	// What the unit names lies below root as well.
	path := filepath.Join(root, "etc/systemd/system/shoutrrrd.service")
	unit, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	moved := regexp.MustCompile(`(=|:|--config )/(etc|usr)/`).ReplaceAllString(string(unit), "${1}"+root+"/$2/")
	if err := os.WriteFile(path, []byte(moved), 0o644); err != nil {
		t.Fatal(err)
	}
	return toSystemd
}

// Whoever follows the comment of the unit has a relay that starts: the program, the key
// and the settings are where the unit looks for them, and systemd takes the unit.
func TestUnitStartsAsInstructed(t *testing.T) {
	t.Parallel()
	root, environ := installed(t)
	if told := follow(t, root); len(told) == 0 || told[len(told)-1] != "systemctl enable --now shoutrrrd" {
		t.Errorf("it ends with %q", told)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		prove.Missing(t, "systemd-analyze, which judges the unit")
	}
	verify := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(root, "etc/systemd/system/shoutrrrd.service"))
	if out, err := verify.CombinedOutput(); err != nil || strings.Contains(string(out), "shoutrrrd") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	status, stdout, stderr := command(t, root, environ, "check", "--as-service")
	if status != exitOK || stderr != "" || !strings.Contains(stdout, "oncall (key-") {
		t.Errorf("status %d, %s\n%s", status, stderr, stdout)
	}
	// As systemd starts it: with the credentials in a folder of their own.
	given := filepath.Join(root, "credentials")
	if err := os.Mkdir(given, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, given, "oncall", testKey)
	settings := filepath.Join(root, "etc/shoutrrr/shoutrrrd.yaml")
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, root, "etc/shoutrrr/shoutrrrd.yaml", strings.ReplaceAll(string(text), "/run/credentials/shoutrrrd.service", given))
	p := start(t, root, "--config", settings, "--upstream", "http://127.0.0.1:9")
	if answer, said := p.answer(t, trigger("first", "info", "the unit works")); answer.StatusCode != http.StatusAccepted {
		t.Errorf("%s %s", answer.Status, said)
	}
}

// check says what the service uses, not what a relay of the one who is logged in would:
// with the file of the unit by itself, or with --as-service.
func TestCheckAsTheService(t *testing.T) {
	t.Parallel()
	root, environ := installed(t)
	follow(t, root)
	settings := filepath.Join(root, "etc/shoutrrr/shoutrrrd.yaml")
	unit := filepath.Join(root, "etc/systemd/system/shoutrrrd.service")
	for _, args := range [][]string{{"check", "-c", settings}, {"check", "--as-service"}, {"check", "--as-service=" + unit}, {"check", "--as-service=shoutrrrd"}} {
		status, stdout, stderr := command(t, root, environ, args...)
		if status != exitOK || stderr != "" || !regexp.MustCompile(`(?m)^queue +/var/lib/shoutrrr/queue.db +default$`).MatchString(stdout) || !strings.Contains(stdout, "as the service of "+unit) {
			t.Errorf("%q: status %d, %s\n%s", args, status, stderr, stdout)
		}
	}
	var told struct{ Unit string }
	if _, stdout, _ := command(t, root, environ, "check", "-c", settings, "--json"); json.Unmarshal([]byte(stdout), &told) != nil || told.Unit != unit {
		t.Errorf("as JSON it names the unit %q", told.Unit)
	}
	// Without a file the settings are those of the user: then it says that the service has others.
	if status, stdout, stderr := command(t, root, environ, "check"); status != exitOK || !strings.Contains(stderr, "--as-service") || strings.Contains(stdout, "/var/lib") {
		t.Errorf("status %d, %s\n%s", status, stderr, stdout)
	}
	if status, stdout, stderr := command(t, root, environ, "check", "-c", settings, "--as-service=no"); status != exitConfig || !strings.Contains(stderr, "no credential") || strings.Contains(stdout, "/var/lib") {
		t.Errorf("as the user: status %d, %s\n%s", status, stderr, stdout)
	}
	// A drop-in stands above the unit; the variables of the unit count, and those of the shell do not.
	dropIn := filepath.Join(root, "etc/systemd/system/shoutrrrd.service.d")
	if err := os.Mkdir(dropIn, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, root, "relay.env", "# of the service\nSHOUTRRRD_RETENTION=\"12h\"\n")
	writeFile(t, dropIn, "local.conf", fmt.Sprintf("[Service]\nExecStart=\nExecStart=%s/usr/bin/shoutrrrd run \\\n  --config '%s' --rate=60\nEnvironment=SHOUTRRRD_MAX_AGE=24h \"SHOUTRRRD_LOG_LEVEL=warn\"\nEnvironmentFile=-%s/none.env\nEnvironmentFile=%s/relay.env\nStateDirectory=pager\n", root, settings, root, root))
	status, stdout, stderr := command(t, root, append(environ, "SHOUTRRRD_MAX_AGE=48h", "SHOUTRRRD_LOG_FORMAT=json"), "check", "--as-service")
	for _, line := range []string{`queue +/var/lib/pager/queue.db +default`, `rate +60 +flag --rate`, `max_age +24h +variable SHOUTRRRD_MAX_AGE`, `retention +12h +variable`, `log_level +warn +variable`, `log_format +auto +default`} {
		if status != exitOK || !regexp.MustCompile("(?m)^"+line).MatchString(stdout) {
			t.Errorf("want %s: status %d, %s\n%s", line, status, stderr, stdout)
		}
	}
	// The user of the service is made up at its start, and reads what everybody may.
	if err := os.Chmod(settings, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := command(t, root, environ, "check", "--as-service"); status != exitConfig || !strings.Contains(stderr, "chmod o+r") {
		t.Errorf("a file that the service cannot read: status %d, %s", status, stderr)
	}
	if err := errors.Join(os.Chmod(settings, 0o644), os.Chmod(filepath.Dir(settings), 0o700)); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := command(t, root, environ, "check", "--as-service"); status != exitConfig || !strings.Contains(stderr, "cannot enter the folder") || !strings.Contains(stderr, "chmod o+x") {
		t.Errorf("a file in a folder that the service cannot enter: status %d, %s", status, stderr)
	}
	if status, _, stderr := command(t, t.TempDir(), []string{"SYSTEMD_UNIT_PATH=" + t.TempDir()}, "check", "--as-service"); status != exitConfig || !strings.Contains(stderr, "shoutrrrd.service") {
		t.Errorf("without a unit: status %d, %s", status, stderr)
	}
}

// A credential that is missing is one line that says what to do, and no loop of restarts:
// systemd stops before the start when the file of a LoadCredential= is not there, and the
// relay ends with 78 if its settings name one that the unit does not load.
func TestMissingCredential(t *testing.T) {
	t.Parallel()
	root, environ := installed(t)
	follow(t, root)
	settings := filepath.Join(root, "etc/shoutrrr/shoutrrrd.yaml")
	p := launch(t, root, nil, "--config", settings)
	var exit *exec.ExitError
	if err := <-p.ended; !errors.As(err, &exit) || exit.ExitCode() != exitConfig {
		t.Errorf("it ended with %v", err)
	}
	if said := p.log.String(); strings.Count(said, "there is no credential") != 1 || !strings.Contains(said, "LoadCredential=oncall:") {
		t.Errorf("it says %s", said)
	}
	if err := os.Remove(filepath.Join(root, "etc/shoutrrr/oncall.key")); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := command(t, root, environ, "check", "--as-service"); status != exitConfig || !strings.Contains(stderr, "keys[0].key: cannot read") || strings.Count(stderr, "\n") > 3 {
		t.Errorf("status %d, %s", status, stderr)
	}
	unit := readPage(t, "shoutrrrd.service")
	const credentials = 243 // how systemd ends a service whose credentials it cannot set up
	if !strings.Contains(unit, fmt.Sprintf("\nRestartPreventExitStatus=%d %d %d\n", exitUsage, exitConfig, credentials)) {
		t.Error("the unit is started again and again without its credentials")
	}
	for _, found := range regexp.MustCompile(`(?m)^LoadCredential=\w+:(.*)$`).FindAllStringSubmatch(unit, -1) {
		if !strings.Contains(unit, "\nAssertPathExists="+found[1]+"\n") {
			t.Errorf("systemd does not say that %s is missing", found[1])
		}
	}
	for _, line := range []string{"MemoryMax=", "TasksMax=", "LimitCORE=0\n"} {
		if !strings.Contains(unit, "\n"+line) {
			t.Errorf("the unit lacks %s", line)
		}
	}
	if !regexp.MustCompile(`(?m)^After=.*\btime-sync\.target\b`).MatchString(unit) {
		t.Error("the relay starts before the clock is right")
	}
}

// The log names a listener by an address that can be called: its scheme, and a name of
// this machine where it is at all of its addresses.
func TestLogNamesTheListeners(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	certify(t, dir)
	web := writeFile(t, dir, "web.yaml", "tls_server_config:\n  cert_file: relay.pem\n  key_file: relay.key\n")
	settings := writeFile(t, dir, "shoutrrrd.yaml", "only_listed: true\nkeys:\n  - {alias: web, key: "+testKey+"}\n")
	if err := os.Chmod(settings, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "--config", settings, "--listen", ":0", "--web-config", web, "--admin-web-config", web, "--upstream", "http://127.0.0.1:9")
	if !regexp.MustCompile(`^https://`+regexp.QuoteMeta(name)+`:\d+$`).MatchString(p.front) || !regexp.MustCompile(`^https://127\.0\.0\.1:\d+$`).MatchString(p.admin) {
		t.Errorf("events at %s, admin at %s", p.front, p.admin)
	}
	trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // it is whoever answers that matters
	answer, err := trusting.Get(p.admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
}
