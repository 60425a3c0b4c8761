//go:build !linux

package localpg

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithUs is for Linux alone. Elsewhere a server whose lethe was killed runs on,
// until the next start finds it.
func dieWithUs(*syscall.SysProcAttr) {}

// renameRoot is for Linux alone: there are no user namespaces elsewhere.
func renameRoot(*syscall.SysProcAttr, int, int) bool { return false }

// runsOn tells whether the process is a PostgreSQL on this data folder: its command
// line names the folder.
func runsOn(pid int, data string) bool {
	command, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(command), "postgres") && strings.Contains(string(command), data)
}
