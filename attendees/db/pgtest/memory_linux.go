package pgtest

import "syscall"

const (
	memory = "/dev/shm"
	// plenty is what a machine has there that won't miss what a package's tests fill.
	plenty = 8 << 30
)

// folder is where the server's folder is made: in memory where there is plenty, for most
// of what a test costs is the making and unmaking of its database's five hundred files.
// The empty one is the default for temporary files.
func folder() string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(memory, &s); err != nil || s.Bavail*uint64(s.Bsize) < plenty {
		return ""
	}
	return memory
}
