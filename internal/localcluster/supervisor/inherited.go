package supervisor

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// The files that a supervising program inherits, by descriptor.
const (
	// ListenerFD is the listening unix socket.
	ListenerFD = 3
	// OwnerFD is the read end of the owner's pipe.
	OwnerFD = 4
	// HeldFD is the first of the locks that the program holds while it lives.
	HeldFD = 5
)

// Inherited takes over the files that came with the start of a supervising program.
// None of them may reach the programs: a lock would outlive the supervisor.
func Inherited() (net.Listener, *os.File, error) {
	for fd := ListenerFD; fd < HeldFD+8; fd++ {
		syscall.CloseOnExec(fd)
	}
	file := os.NewFile(ListenerFD, "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, nil, fmt.Errorf("taking over the socket: %w", err)
	}
	_ = file.Close()
	return listener, os.NewFile(OwnerFD, "owner"), nil
}
