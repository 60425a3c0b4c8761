package localpg

import (
	"fmt"
	"os"
	"syscall"
)

// dieWithUs has the kernel ask PostgreSQL for an immediate shutdown when we end,
// were it by SIGKILL.
func dieWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }

// renameRoot sets up a user namespace in which root is called uid and gid.
func renameRoot(attr *syscall.SysProcAttr, uid, gid int) bool {
	attr.Cloneflags = syscall.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: os.Getegid(), Size: 1}}
	attr.GidMappingsEnableSetgroups = false
	return true
}

// runsOn tells whether the process is a PostgreSQL on this data folder. Each of its
// processes works inside the folder and belongs to the folder's owner.
func runsOn(pid int, data string) bool {
	proc := fmt.Sprintf("/proc/%d", pid)
	theirs, err := ownerOf(proc)
	if err != nil {
		return false // there is no such process
	}
	ours, err := ownerOf(data)
	if err != nil || theirs != ours {
		return false
	}
	folder, err := os.Stat(data)
	if err != nil {
		return false
	}
	works, err := os.Stat(proc + "/cwd")
	if err != nil {
		// It has just ended, or we may not look (root in a container without
		// CAP_SYS_PTRACE): then we had better believe it.
		return !os.IsNotExist(err)
	}
	return os.SameFile(works, folder)
}
