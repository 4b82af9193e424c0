package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// IsInit reports whether the program was started as the init of a confinement, and has to call
// [Init] before anything else.
func IsInit(args []string) bool { return len(args) == 1 && args[0] == InitPath }

// Init is the first process inside. It finishes the walls, tells the supervisor how they stand,
// starts the command when told to, and ends when the command or the supervisor does, and everything
// in its process namespace with it. It returns the exit status of its process.
func Init() int {
	// What has a default action does nothing to an init anyway; Go's runtime would act on some. They are
	// caught, not ignored: the command would inherit that.
	signal.Notify(make(chan os.Signal, 1))
	control, err := controlConn(os.NewFile(controlFD, "control"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "sallyport: error: this is the init of a confinement, and only sallyport run starts it")
		return 64
	}
	i := &initProcess{control: control}
	if err := i.run(); err != nil {
		_ = send(control, message{Type: typeFailed, Error: err.Error()})
		return 1
	}
	return 0
}

type initProcess struct {
	control *net.UnixConn
	config  initConfig
	tty     *os.File // the command's side of its terminal
	notes   []string
}

// readConfig reads what is to be done from the file that was passed.
func (i *initProcess) readConfig() error {
	f := os.NewFile(configFD, "config")
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 16<<20))
	if err != nil {
		return fmt.Errorf("reading what to start: %w", err)
	}
	return json.Unmarshal(b, &i.config)
}

func (i *initProcess) run() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("close the init to what it starts: %w", err)
	}
	if err := i.readConfig(); err != nil {
		return err
	}
	c := &i.config
	// Files that the supervisor's own starter left open are not the command's, and not the init's.
	if err := unix.CloseRange(firstFD, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("closing inherited files: %w", err)
	}
	if os.Getpid() != 1 {
		return fmt.Errorf("the process namespace is missing: the init is process %d", os.Getpid())
	}
	if c.Build {
		if !c.Nested {
			if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil { //nolint:forbidigo // the kernel's, not a disk's
				return fmt.Errorf("forbidding user namespaces: %w", err)
			}
		}
		if err := unix.Sethostname([]byte("sallyport")); err != nil {
			return fmt.Errorf("naming the host: %w", err)
		}
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("raising the loopback device: %w", err)
		}
		if err := buildRoot(c.Rules); err != nil {
			return fmt.Errorf("building the root: %w", err)
		}
	}
	ready := message{Type: typeReady}
	var files []*os.File
	give := func(name string, f *os.File) {
		ready.Files = append(ready.Files, name)
		files = append(files, f)
	}
	if c.Gateway {
		l, err := listenTCP(c.Port)
		if err != nil {
			return fmt.Errorf("listening on 127.0.0.1:%d inside: %w", c.Port, err)
		}
		give("gateway", l)
	}
	names, err := listenNames()
	if err != nil {
		i.notes = append(i.notes, "names that are asked for are not recorded: "+err.Error())
	} else {
		give("names", names)
	}
	if c.Terminal != nil {
		master, err := i.openTerminal(*c.Terminal)
		if err != nil {
			return fmt.Errorf("making a terminal: %w", err)
		}
		give("terminal", master)
	}

	// The command's thread takes on what cannot be taken off again; the others stay free to speak with
	// the supervisor and to reap.
	walls := make(chan wallsUp)
	begin := make(chan struct{})
	started := make(chan startResult)
	go i.commandThread(walls, begin, started)
	up := <-walls
	if up.err != nil {
		return up.err
	}
	ready.Landlock, ready.Filter = up.landlock, up.filter
	if up.witness != nil {
		give("witness", up.witness)
	}
	ready.Notes = i.notes
	if err := send(i.control, ready, files...); err != nil {
		return fmt.Errorf("telling the supervisor: %w", err)
	}
	for _, f := range files {
		f.Close()
	}
	m, _, err := receive(i.control)
	if err != nil || m.Type != typeGo {
		return errors.New("the supervisor did not say go")
	}
	close(begin)
	result := <-started
	if result.err != nil {
		return result.err
	}
	// The command has the standard files now.
	for fd := range 3 {
		_ = unix.Dup3(configNull(), fd, 0)
	}
	_ = send(i.control, message{Type: typeStarted})
	go i.obey(result.pid)
	return i.reap(result.pid)
}

// configNull opens /dev/null, which is always there.
func configNull() int {
	fd, _ := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	return fd
}

// obey does what the supervisor says until there is none, which ends everything.
func (i *initProcess) obey(pid int) {
	for {
		m, files, err := receive(i.control)
		for _, f := range files {
			f.Close()
		}
		if err != nil {
			os.Exit(1)
		}
		switch m.Type {
		case typeContinue:
			i.foreground(pid)
			_ = unix.Kill(-pid, unix.SIGCONT)
		case typeSignal:
			_ = unix.Kill(-pid, unix.Signal(m.Signal))
		}
	}
}

// reap waits for every process of the namespace, and ends with the command.
func (i *initProcess) reap(pid int) error {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("waiting for the command: %w", err)
		case got != pid:
			continue
		case status.Stopped():
			_ = send(i.control, message{Type: typeStopped, Signal: int(status.StopSignal())})
		case status.Signaled():
			return send(i.control, message{Type: typeExit, Signal: int(status.Signal())})
		case status.Exited():
			return send(i.control, message{Type: typeExit, Code: status.ExitStatus()})
		}
	}
}

type startResult struct {
	pid int
	err error
}

type wallsUp struct {
	landlock int
	filter   string
	witness  *os.File
	err      error
}

// commandThread gives up everything that the command is not to have, and starts it.
func (i *initProcess) commandThread(walls chan<- wallsUp, begin <-chan struct{}, started chan<- startResult) {
	runtime.LockOSThread() // and never let another goroutine have it
	walls <- i.raise()
	<-begin
	pid, err := i.start()
	started <- startResult{pid, err}
	select {}
}

// start starts the command from the thread that was confined.
func (i *initProcess) start() (int, error) {
	c := &i.config
	program, err := lookPath(c.Args[0], c.Dir, c.Env)
	if err != nil {
		return 0, err
	}
	attr := &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Files: []uintptr{0, 1, 2}}
	attr.Sys = &syscall.SysProcAttr{}
	if i.tty != nil {
		fd := i.tty.Fd()
		attr.Files = []uintptr{fd, fd, fd}
		attr.Sys.Foreground, attr.Sys.Ctty = true, int(fd)
	} else {
		attr.Sys.Setsid = true
	}
	pid, err := syscall.ForkExec(program, c.Args, attr)
	if err != nil {
		return 0, fmt.Errorf("starting %s inside: %w", program, err)
	}
	return pid, nil
}

// lookPath finds a program the way a shell does, with the command's PATH.
func lookPath(name, dir string, env []string) (string, error) {
	runnable := func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && !info.IsDir() && unix.Access(path, unix.X_OK) == nil
	}
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if !runnable(name) {
			return "", fmt.Errorf("%s: %w inside the confinement", name, errNoProgram)
		}
		return name, nil
	}
	for _, v := range env {
		path, ok := strings.CutPrefix(v, "PATH=")
		if !ok {
			continue
		}
		for _, d := range filepath.SplitList(path) {
			if full := filepath.Join(d, name); filepath.IsAbs(full) && runnable(full) {
				return full, nil
			}
		}
	}
	return "", fmt.Errorf("%s: %w inside the confinement; its folder may have to be shown read-only", name, errNoProgram)
}

var errNoProgram = errors.New("no such program")

// openTerminal makes the terminal in the command's own /dev/pts, so that the operator's is nowhere
// to be found, and makes it the controlling one of the init, which is the shell of the command as
// far as stopping and continuing go.
func (i *initProcess) openTerminal(size Size) (*os.File, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("asking for its number: %w", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlocking it: %w", err)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Columns}); err != nil {
		return nil, fmt.Errorf("setting its size: %w", err)
	}
	if i.tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, err
	}
	if _, err := unix.Setsid(); err != nil && err != unix.EPERM {
		return nil, fmt.Errorf("starting a session: %w", err)
	}
	if err := unix.IoctlSetInt(int(i.tty.Fd()), unix.TIOCSCTTY, 0); err != nil {
		return nil, fmt.Errorf("making it the session's: %w", err)
	}
	return master, nil
}

// foreground gives the terminal back to the command, as a shell does for fg.
func (i *initProcess) foreground(pid int) {
	if i.tty == nil {
		return
	}
	// Who is in the background may do this only with the signal for it blocked.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var block, before unix.Sigset_t
	block.Val[0] = 1 << (unix.SIGTTOU - 1)
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &block, &before)
	_ = unix.IoctlSetPointerInt(int(i.tty.Fd()), unix.TIOCSPGRP, pid)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// listenTCP makes the socket that the supervisor accepts on. It belongs to this network namespace
// wherever it is held.
func listenTCP(port int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "gateway")
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		f.Close()
		return nil, err
	}
	if err := unix.Listen(fd, 512); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// listenNames makes the socket on which the supervisor answers for a name server.
func listenNames() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "names")
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 53, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
