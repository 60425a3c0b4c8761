package localpg

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asChild names the folder in which a re-executed test binary starts a server and
// waits for its end: a lethe that a test may kill.
const asChild = "LOCALPG_TEST_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(asChild)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.process.cmd.Process.Pid)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test has gone too
}

func TestServerDiesWithItsKilledParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), asChild+"="+dir)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said, _ := bufio.NewReader(stdout).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(said))
	if err != nil {
		t.Fatalf("the child said %q", said)
	}
	folder, err := os.Readlink(filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it says "killed"

	begin(t, Options{Dir: dir}) // at once, while the old one is dying
	if runsOn(pid, filepath.Join(dir, "data")) {
		t.Errorf("process %d outlived its parent", pid)
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the old socket's folder is still there: %v", err)
	}
}

func TestWithoutUserNamespacesRootDropsToAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root has to")
	}
	dir := openFolder(t)
	s := begin(t, Options{Dir: filepath.Join(dir, "pg"), Unsafe: true, noNamespace: true})
	owner, err := ownerOf(s.data())
	if err != nil || owner == 0 {
		t.Errorf("the data belongs to %d, %v", owner, err)
	}
	execute(t, s, `create table kept as select 'yes' as answer`)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	// A kernel that has learned user namespaces takes over what the other user owned.
	s = begin(t, Options{Dir: s.dir, Unsafe: true})
	if got := answer(t, s); got != "yes" {
		t.Errorf("got %q", got)
	}
}

func TestOrdinaryUserMayDoAllThis(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the other tests have shown it")
	}
	const nobody = 65534
	dir := openFolder(t)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Skip(err)
	}
	binary := filepath.Join(dir, "localpg.test")
	// A process that another test starts meanwhile would inherit the open file, and Linux runs
	// none that is open for writing.
	syscall.ForkLock.RLock()
	err = os.WriteFile(binary, self, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(tmp, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.run", "Started|Recovers|KilledParent")
	cmd.Dir = tmp
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + tmp, "HOME=" + tmp}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if passed := strings.Count(string(out), "--- PASS"); err != nil || passed != 3 {
		t.Errorf("%d passed, want 3: %v\n%s", passed, err, out)
	}
}

// openFolder is a temporary folder whose ancestors let everybody pass.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lethe-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
