package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containrrr/shoutrrr/internal/prove"
	"github.com/containrrr/shoutrrr/shoutrrrd/internal/settings"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func readPage(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The page lists each setting once, in order, with its default and whether a change
// needs a new start; every flag that is no setting is named, and so is every command.
func TestPage(t *testing.T) {
	t.Parallel()
	page := readPage(t, "shoutrrrd.md")
	var got, want []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (.*?) \\| .* \\| (yes|) ?\\|$").FindAllStringSubmatch(page, -1) {
		got = append(got, fmt.Sprintf("%s: %s, %q", row[1], strings.Trim(row[2], "`"), row[3]))
	}
	for _, f := range settings.Fields() {
		standard := f.Default(func(string) string { return "" })
		switch {
		case f.Name == "queue":
			standard = "see below"
		case standard == "":
			standard = "none"
		}
		start := ""
		if f.AtStart {
			start = "yes"
		}
		want = append(want, fmt.Sprintf("%s: %s, %q", f.Name, standard, start))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, topic := range []string{exitCodesPage(), signalsPage} {
		if !strings.Contains(page, "```\n"+topic+"\n```") {
			t.Errorf("the page lacks, word for word:\n%s", topic)
		}
	}
	root := newRoot(&system{})
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Runnable() && cmd.HasParent() && !strings.Contains(page, "`"+cmd.CommandPath()+"`") {
			t.Errorf("the page lacks %s", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { wantFlag(t, page, cmd, f.Name) })
	}
}

func wantFlag(t *testing.T, page string, cmd *cobra.Command, name string) {
	t.Helper()
	isSetting := slices.ContainsFunc(settings.Fields(), func(f settings.Field) bool { return f.Flag() == name })
	if name != "help" && !isSetting && !strings.Contains(page, "--"+name) {
		t.Errorf("the page lacks --%s of %s", name, cmd.CommandPath())
	}
}

// The page's examples of files are taken, and its mistakes are told as it says.
func TestPageExamples(t *testing.T) {
	t.Parallel()
	page := readPage(t, "shoutrrrd.md")
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d examples were found", len(blocks))
	}
	dir := t.TempDir()
	for i, name := range []string{"db-oncall.key", "db-oncall-2.key", "paris.key", "rehearsal.key", "ana.token", "prometheus.token"} {
		writeFile(t, dir, name, fmt.Sprintf("%01d%s\n", i, "f4a9c27e51b8d036e9c4f17a2b5d80c")) // a key, and no token that is easy to guess
	}
	writeFile(t, dir, "other-account.key", "5f4a9c27e51b8d036e9c4f17a2b5d80c\n")
	writeFile(t, dir, "chat.url", "https://chat.example.com/x\n")
	writeFile(t, dir, "mail.password", "a password\n")
	if err := os.Chmod(writeFile(t, dir, "call", "#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, dir, "shoutrrrd.yaml", strings.ReplaceAll(blocks[0][1], "/etc/shoutrrr", dir))
	if status, stdout, stderr := command(t, dir, nil, "check", "-c", path); status != exitOK || stderr != "" || !strings.Contains(stdout, "Ana Lima, operator") || !strings.Contains(stdout, "other-account: pagerduty https://events.eu.pagerduty.com") {
		t.Errorf("status %d, %s\n%s", status, stderr, stdout)
	}
	certify(t, dir)
	pem, err := os.ReadFile(filepath.Join(dir, "relay.pem"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "clients.pem", string(pem))
	web := writeFile(t, dir, "web.yaml", blocks[1][1])
	if status, _, stderr := command(t, dir, nil, "check", "--listen", ":8686", "--only-listed", "--web-config", web, "-c", path); status != exitOK || stderr != "" {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// certify puts a certificate of its own, relay.pem with relay.key, into the folder.
func certify(t *testing.T, dir string) {
	t.Helper()
	certificate := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
		"-subj", "/CN=relay", "-keyout", "relay.key", "-out", "relay.pem")
	certificate.Dir = dir
	if out, err := certificate.CombinedOutput(); err != nil {
		prove.Missing(t, "openssl, which makes a certificate: %v\n%s", err, out)
	}
}

// The unit names what the program has: its command line, its exit statuses.
func TestUnit(t *testing.T) {
	t.Parallel()
	unit := readPage(t, "shoutrrrd.service")
	for _, line := range []string{
		"Type=notify", "DynamicUser=yes", "StateDirectory=shoutrrr", "WatchdogSec=60", "Restart=always", "StartLimitIntervalSec=0",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/shoutrrrd (.*)$`).FindStringSubmatch(unit)
	if start == nil {
		t.Fatal("the unit starts nothing")
	}
	dir := t.TempDir()
	args := strings.Fields(strings.ReplaceAll(start[1], "/etc/shoutrrr", dir))
	writeFile(t, dir, "shoutrrrd.yaml", "")
	args[0] = "check"
	// As systemd says it; in the state folder the queue is found without a setting.
	status, stdout, stderr := command(t, dir, []string{"STATE_DIRECTORY=/var/lib/shoutrrr"}, args...)
	if status != exitOK || !regexp.MustCompile(`(?m)^queue +/var/lib/shoutrrr/queue.db +default$`).MatchString(stdout) {
		t.Errorf("status %d, %s\n%s", status, stderr, stdout)
	}
}

// runbooks returns the text of each runbook by its name.
func runbooks(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "docs", "runbooks", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d runbooks, %v", len(files), err)
	}
	pages := map[string]string{}
	for _, file := range files {
		name := filepath.Base(file)
		pages[name] = readPage(t, filepath.Join("runbooks", name))
	}
	return pages
}

// What a runbook has the reader run looks at the relay of the unit, and not at the
// defaults of whoever is logged in: a check of those is fine whatever the relay has.
func TestRunbooksOfTheUnit(t *testing.T) {
	t.Parallel()
	config := regexp.MustCompile(`--config (\S+)`).FindStringSubmatch(readPage(t, "shoutrrrd.service"))
	if config == nil {
		t.Fatal("the unit names no configuration")
	}
	dir := t.TempDir()
	writeFile(t, dir, "shoutrrrd.yaml", "rate: many\n")
	checks := 0
	for name, page := range runbooks(t) {
		if strings.Contains(page, "\nshoutrrr ") && !strings.Contains(page, "SHOUTRRR_TOKEN_FILE") {
			t.Errorf("%s says nothing of tokens: with them each command exits with 77", name)
		}
		for _, found := range regexp.MustCompile("(?m)(?:^|`)shoutrrrd (check(?: [^\n`]*)?)").FindAllStringSubmatch(page, -1) {
			if found[1] == "check" && strings.Contains(page, "shoutrrrd check --config "+config[1]) {
				continue // the prose speaks of the command that stands in full
			}
			args := strings.Fields(strings.ReplaceAll(found[1], config[1], filepath.Join(dir, "shoutrrrd.yaml")))
			if status, _, stderr := command(t, dir, nil, args...); status != exitConfig || !strings.Contains(stderr, `"many"`) {
				t.Errorf("%s: shoutrrrd %s: status %d for a wrong file: %s", name, found[1], status, stderr)
			}
			checks++
		}
	}
	if checks < 3 {
		t.Errorf("%d checks were run", checks)
	}
}

// The page on a damaged queue has a copy of the unit's queue examined: the files of the
// unit belong to a user that is made up at its start, and are refused to everybody else.
func TestRunbookFsck(t *testing.T) {
	t.Parallel()
	unit, dir := readPage(t, "shoutrrrd.service"), t.TempDir()
	folder := regexp.MustCompile(`(?m)^StateDirectory=(.+)$`).FindStringSubmatch(unit)
	queue := filepath.Join(dir, "state", "queue.db")
	if err := start(t, dir, "--queue", queue).stop(t); err != nil {
		t.Fatal(err)
	}
	page := runbooks(t)["ShoutrrrdQueueDamaged.md"]
	copying := regexp.MustCompile(`(?m)^cp -r (\S+)/\. (\S+)$`).FindStringSubmatch(page)
	fsck := regexp.MustCompile(`(?m)^shoutrrrd (fsck .*)$`).FindStringSubmatch(page)
	if folder == nil || copying == nil || fsck == nil || copying[1] != "/var/lib/"+folder[1] {
		t.Fatalf("unit %q, copy %q, fsck %q", folder, copying, fsck)
	}
	target := filepath.Join(dir, "copy")
	if out, err := exec.CommandContext(t.Context(), "cp", "-r", filepath.Dir(queue)+"/.", target).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	args := strings.Fields(strings.ReplaceAll(fsck[1], copying[2], target))
	if status, stdout, stderr := command(t, dir, nil, args...); status != exitOK || !strings.Contains(stdout, "the queue is sound") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
}
