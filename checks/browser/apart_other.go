//go:build unix && !linux

package browser

import "syscall"

// apart gives Chromium a process group of its own, to end all of it. That it
// also ends should we be killed is Linux's alone.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
