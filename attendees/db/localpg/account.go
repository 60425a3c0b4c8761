package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is as whom PostgreSQL's programs run, since they refuse to run as root.
type account struct {
	attr     syscall.SysProcAttr
	uid, gid int // whom their files must belong to, as we see it
}

// chooseAccount takes ourselves. For root it takes a user namespace in which root
// goes by another name, so that no file changes hands and folders below a closed
// home can be reached; and where the kernel forbids that, that other user.
func chooseAccount(ctx context.Context, probe string, noNamespace bool) (account, error) {
	attr := syscall.SysProcAttr{Setsid: true} // a Ctrl-C at the terminal is ours to handle
	dieWithUs(&attr)
	if os.Geteuid() != 0 {
		return account{attr, os.Geteuid(), os.Getegid()}, nil
	}
	uid, gid, err := otherThanRoot()
	if err != nil {
		return account{}, err
	}
	namespaced := attr
	if !noNamespace && renameRoot(&namespaced, uid, gid) && runs(ctx, probe, namespaced) {
		return account{namespaced, os.Geteuid(), os.Getegid()}, nil
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return account{attr, uid, gid}, nil
}

// otherThanRoot finds a user that the system knows: initdb asks for its name.
func otherThanRoot() (uid, gid int, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return uid, gid, nil
		}
	}
	return 0, 0, errors.New("PostgreSQL refuses to run as root, and there is no user postgres or nobody; start lethe as an ordinary user")
}

func runs(ctx context.Context, program string, attr syscall.SysProcAttr) bool {
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.SysProcAttr = &attr
	return cmd.Run() == nil
}

// own gives the folder and all in it to the account, if it is not the owner yet.
func (a account) own(dir string) error {
	owner, err := ownerOf(dir)
	if err != nil || owner == a.uid {
		return err
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, a.uid, a.gid)
	})
	if err != nil {
		return fmt.Errorf("give the folder to user %d, as whom PostgreSQL runs: %w", a.uid, err)
	}
	return nil
}

func ownerOf(path string) (uid int, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return int(info.Sys().(*syscall.Stat_t).Uid), nil
}
