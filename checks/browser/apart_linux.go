package browser

import "syscall"

// apart gives Chromium a process group of its own, to end all of it, and has
// the kernel end it should we be killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
