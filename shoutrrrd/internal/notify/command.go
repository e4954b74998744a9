package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Command runs a program, without a shell. It gets the message as JSON on its standard
// input, and what most scripts want of it in the environment.
type Command struct {
	Argv []string
	// Environ is what of the relay's own environment the program gets.
	Environ []string
}

const (
	// maxSaid is what is kept of what a program says, for the error.
	maxSaid = 400

	// lingers is how long a program that has ended may leave its output to others.
	lingers = time.Second
)

// Inherited are the variables that a command gets from the relay: what programs need to
// find each other, the network and their language. The rest may hold what is no business
// of a script, and systemd's sockets are not its own.
var Inherited = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "CREDENTIALS_DIRECTORY",
	"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// Send implements [Sender]. The program, and all that it has started, is killed when the
// time is over. If the relay itself is killed, the kernel kills the program where it can.
func (c Command) Send(ctx context.Context, m Message) error {
	input, err := json.Marshal(m)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Dir = "/" // and not where the relay was started by accident
	cmd.Env = append(append([]string{}, c.Environ...),
		"OUTAGE_STATUS="+m.Status, "OUTAGE_SUBJECT="+m.Subject, "OUTAGE_TEXT="+m.Text, "OUTAGE_ID="+m.Outage, "OUTAGE_RELAY="+m.Relay,
		"OUTAGE_UPSTREAM="+m.Upstream, "OUTAGE_WAITING="+strconv.Itoa(m.Waiting), "OUTAGE_REJECTED="+strconv.Itoa(m.Rejected),
		"OUTAGE_EXPIRED="+strconv.Itoa(m.Expired), "OUTAGE_WHY="+m.Why)
	cmd.Stdin = bytes.NewReader(input)
	var said tail
	cmd.Stdout, cmd.Stderr = &said, &said
	endWhole(cmd)
	cmd.WaitDelay = lingers
	runtime.LockOSThread() // the program would be killed when the thread ends that has started it
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) { // it has ended well and left something running
		return nil
	}
	if text := strings.TrimSpace(said.String()); text != "" {
		return fmt.Errorf("%w, it says: %s", err, text)
	}
	return err
}

// tail keeps the end of what is written.
type tail struct{ data []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p[max(0, len(p)-maxSaid):]...)
	t.data = t.data[max(0, len(t.data)-maxSaid):]
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(string(t.data), "") }
